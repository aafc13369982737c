import FunnelProtocol
import Hummingbird
import RPC
import ServiceHost
import Testing

/// Who sent a request, behind proxies that are trusted and ones that are not. The test itself is the proxy.
@Suite(.timeLimit(.minutes(2)))
struct RequestSenderTests {
    private static func edge(_ proxies: String..., hasPages: Bool = false, usesTLS: Bool = false) throws -> ServiceEdge {
        ServiceEdge(usesTLS: usesTLS, proxies: try TrustedProxies(proxies), hasPages: hasPages)
    }

    private static func routes(_ keys: KeyRing = KeyRing([])) -> (ServiceRouter) -> Void {
        { router in
            let door = KeyDoor(guesses: KeyGuesses()) { keys }
            router.get("/who") { _, _ in JSONResponse.text("\(Peer.address) \(Peer.isSecure)\n") }
            router.post("/write") { request, _ in
                _ = try door.admit(request, for: .write)
                return JSONResponse.text("done\n")
            }
        }
    }

    private static func ask(_ port: Int, _ method: String = "GET", _ path: String = "/who", fields: [String]) async throws -> String {
        let peer = try await RawHTTP(port)
        await peer.send(
            "\(method) \(path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n"
                + fields.map { $0 + "\r\n" }.joined() + "\r\n")
        let isAnswered = await eventually { peer.isOver }
        #expect(isAnswered)
        await peer.close()
        return peer.text
    }

    private static let forwarded = ["X-Forwarded-For: 1.1.1.1", "X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https"]

    @Test func aTrustedProxyIsBelieved() async throws {
        try await withEdge(edge: try Self.edge("127.0.0.1", "10.0.0.0/8"), Self.routes()) { port in
            for (fields, answer) in [
                ([], "127.0.0.1 false"), (Self.forwarded, "203.0.113.9 true"),
                (["x-forwarded-for: 203.0.113.9, 10.1.2.3", "X-FORWARDED-PROTO: http"], "203.0.113.9 false"),
                (["X-Forwarded-For: [2001:db8::1]:80", "X-Forwarded-Proto: http, HTTPS"], "2001:db8:0:0::/64 true"),
                (["X-Forwarded-For: what", "X-Forwarded-Proto: gopher"], "127.0.0.1 false"),
                (["X-Forwarded-For:", "X-Forwarded-Proto:"], "127.0.0.1 false"),
            ] {
                let text = try await Self.ask(port, fields: fields)
                #expect(text.hasSuffix("\r\n\r\n\(answer)\n"), "\(fields): \(text)")
            }
        }
    }

    @Test(arguments: [[], ["127.0.0.2"], ["10.0.0.0/8", "203.0.113.9"]])
    func othersAreNot(proxies: [String]) async throws {
        let edge = ServiceEdge(proxies: try TrustedProxies(proxies), hasPages: true)
        try await withEdge(edge: edge, Self.routes()) { port in
            let text = try await Self.ask(port, fields: Self.forwarded)
            #expect(text.hasSuffix("\r\n\r\n127.0.0.1 false\n") && !text.lowercased().contains("strict-transport-security"), "\(text)")
        }
    }

    @Test func wrongKeysOfOneCallerDoNotSlowAnother() async throws {
        let keys = KeyRing([.init(role: .write, project: 1, hash: KeyRing.hash("a write key that is long"))])
        try await withEdge(edge: try Self.edge("127.0.0.1"), Self.routes(keys)) { port in
            func status(_ caller: String, _ number: Int) async throws -> Int {
                let fields = ["X-Forwarded-For: 9.9.9.\(number), \(caller)", "Authorization: Bearer guess \(number)"]
                let text = try await Self.ask(port, "POST", "/write", fields: fields)
                return Int(text.dropFirst(9).prefix(3)) ?? 0
            }
            var statuses: [Int] = []
            for number in 0..<30 { statuses.append(try await status("203.0.113.9", number)) }
            #expect(statuses.prefix(10).allSatisfy { $0 == 401 } && statuses.contains(429))
            let other = try await status("203.0.113.10", 0)
            #expect(other == 401)
        }
    }

    @Test func pagesDemandTLSWhereTheCallerUsesIt() async throws {
        for (usesTLS, proto, isDemanded) in [
            (false, "https", true), (false, "http", false), (false, "", false), (true, "", true), (true, "http", false),
        ] {
            try await withEdge(edge: try Self.edge("127.0.0.1", hasPages: true, usesTLS: usesTLS), Self.routes()) { port in
                let text = try await Self.ask(port, fields: proto.isEmpty ? [] : ["X-Forwarded-Proto: \(proto)"])
                #expect(text.lowercased().contains("strict-transport-security: max-age=31536000") == isDemanded, "\(usesTLS) \(proto)")
            }
        }
        try await withEdge(edge: try Self.edge("127.0.0.1"), Self.routes()) { port in
            let text = try await Self.ask(port, fields: Self.forwarded)
            #expect(!text.lowercased().contains("strict-transport-security"))
        }
    }

    @Test func aTrustedProxyMayHoldAllConnections() async throws {
        for (proxies, held) in [(["127.0.0.1"], 16), ([], 3)] {
            let door = HTTPPortState(connections: 20, connectionsPerAddress: 3, reserved: 4, proxies: try TrustedProxies(proxies))
            try await withEdge(door, { _ in }) { port in
                var idle: [RawHTTP] = []
                for _ in 0..<16 { idle.append(try await RawHTTP(port)) }
                let isHeld = await eventually { door.places.count == held && door.places.displaced == 16 - held }
                #expect(isHeld, "\(door.places.count)")
                for peer in idle { await peer.close() }
            }
        }
    }
}
