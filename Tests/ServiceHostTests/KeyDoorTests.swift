import FunnelProtocol
import Hummingbird
import RPC
import ServiceHost
import Testing

/// Who is let in over HTTP: without keys no foreign page, with keys no guesser.
@Suite(.timeLimit(.minutes(2)))
struct KeyDoorTests {
    private static func routes(_ keys: KeyRing) -> (ServiceRouter) -> Void {
        { router in
            let door = KeyDoor(guesses: KeyGuesses()) { keys }
            router.post("/write") { request, _ in
                _ = try door.admit(request, for: .write)
                return JSONResponse.text("done\n")
            }
        }
    }

    private static func status(_ port: Int, host: String = "localhost", _ fields: String...) async throws -> (status: Int, text: String) {
        let peer = try await RawHTTP(port)
        await peer.send("POST /write HTTP/1.1\r\nHost: \(host)\r\nContent-Length: 0\r\n" + fields.map { $0 + "\r\n" }.joined() + "\r\n")
        let isAnswered = await eventually { !peer.statuses.isEmpty }
        #expect(isAnswered)
        await peer.close()
        return (peer.statuses.first ?? 0, peer.text)
    }

    @Test func withoutKeysNoForeignPageComesIn() async throws {
        try await withEdge(HTTPPortState(), Self.routes(KeyRing([]))) { port in
            for host in ["localhost", "localhost:\(port)", "127.0.0.1:\(port)", "127.1.2.3", "[::1]:\(port)", "[::1]"] {
                let status1 = try await Self.status(port, host: host).status
                #expect(status1 == 200, "\(host)")
                let status2 = try await Self.status(port, host: host, "Origin: http://\(host)", "Sec-Fetch-Site: same-origin").status
                #expect(status2 == 200)
            }
            for host in ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "[::1].evil.example", "192.0.2.1"] {
                let status3 = try await Self.status(port, host: host).status
                #expect(status3 == 403, "\(host)")
                // A header that nobody looks at without keys opens nothing.
                let status4 = try await Self.status(port, host: host, "Authorization: Bearer x").status
                #expect(status4 == 403, "\(host)")
            }
            for field in ["Origin: http://evil.example", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "Origin: null"] {
                let status5 = try await Self.status(port, field, "Content-Type: text/plain").status
                #expect(status5 == 403, "\(field)")
            }
        }
    }

    @Test func wrongKeysAreSlowedAndRightOnesAreNot() async throws {
        let keys = KeyRing([.init(role: .write, project: 1, hash: KeyRing.hash("a write key that is long"))])
        try await withEdge(HTTPPortState(), Self.routes(keys)) { port in
            var statuses: [Int] = []
            for number in 0..<40 {
                let answer = try await Self.status(port, "Authorization: Bearer guess \(number)")
                statuses.append(answer.status)
                if answer.status == 429 { #expect(answer.text.lowercased().contains("retry-after: 1")) }
                let status6 = try await Self.status(port, "Authorization: Bearer a write key that is long").status
                #expect(status6 == 200)
            }
            #expect(statuses.prefix(10).allSatisfy { $0 == 401 })
            #expect(statuses.contains(429))
            // No key at all is no guess.
            let status7 = try await Self.status(port).status
            #expect(status7 == 401)
        }
    }
}
