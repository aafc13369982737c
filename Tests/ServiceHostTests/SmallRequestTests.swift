import Foundation
import FunnelModel
import Hummingbird
import ServiceHost
import ServiceRuntime
import Synchronization
import Testing

/// Requests that are answered before the router sees them, between others that the router answers.
@Suite(.timeLimit(.minutes(2)))
struct SmallRequestTests {
    /// Answers of the small path that a test gives when it likes.
    private final class Held: Sendable {
        let all = Mutex<[@Sendable () -> Void]>([])
        var count: Int { all.withLock { $0.count } }
        func give() { all.withLock { $0.isEmpty ? nil : $0.removeFirst() }?() }
    }

    /// Says "small BODY" for small bodies, at once where they begin with "now", and leaves "no…" to the router.
    private func run(_ held: Held, metrics: Metrics = Metrics(), _ body: @Sendable @escaping (Int) async throws -> Void) async throws {
        let small = SmallRequests(
            bytesMax: 16,
            paths: [
                "/echo": { head, _ in
                    if head.headerFields[.accept] == "router" { return nil }
                    return { bytes, done in
                        let text = String(decoding: bytes, as: UTF8.self)
                        if text.hasPrefix("no ") { return false }
                        let answer = WholeAnswer(Array("small \(text)\n".utf8), type: "text/plain")
                        if text.hasPrefix("now") { done(answer) } else { held.all.withLock { $0.append { done(answer) } } }
                        return true
                    }
                }
            ], account: HTTPRequestLog(metrics), logger: quiet)
        try await withEdge(
            small: small,
            { router in
                router.post("/echo") { request, _ in
                    let bytes = try await ReceivedBody.read(request, limit: 1 << 20).content()
                    return JSONResponse.text("router \(String(decoding: bytes.prefix(20), as: UTF8.self))\n")
                }
            }, body)
    }

    private static func request(_ body: String, _ fields: String = "") -> String {
        "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: \(body.utf8.count)\r\n\(fields)\r\n\(body)"
    }

    private static func answers(_ peer: RawHTTP) -> [String] {
        peer.text.components(separatedBy: .newlines).filter { $0.hasPrefix("small") || $0.hasPrefix("router") }
    }

    @Test func answersComeInTheOrderOfTheRequestsWhoeverGivesThem() async throws {
        let held = Held()
        try await run(held) { port in
            let peer = try await RawHTTP(port)
            let long = String(repeating: "x", count: 20)
            // What comes while the router has not answered is the router's too: answers come in the order of the requests.
            await peer.send(["wait", "now 1", "no 2", long, "now 3"].map { Self.request($0) }.joined())
            #expect(await eventually { held.count == 1 })
            #expect(peer.text.isEmpty)
            held.give()
            #expect(
                await eventually { Self.answers(peer) == ["small wait", "small now 1", "router no 2", "router \(long)", "router now 3"] })
            await peer.send(["later", "now 4"].map { Self.request($0) }.joined() + Self.request("now 5", "Accept: router\r\n"))
            #expect(await eventually { held.count == 1 })
            held.give()
            #expect(await eventually { Self.answers(peer).suffix(3) == ["small later", "small now 4", "router now 5"] })
            #expect(peer.statuses == Array(repeating: 200, count: 8))
            let text = peer.text.lowercased()
            for field in ["date: ", "server: sluice", "x-request-id: ", "content-length: "] {
                #expect(text.components(separatedBy: field).count == 9, "\(field)")
            }
            // The connection lives on.
            await peer.send(Self.request("now 6"))
            #expect(await eventually { Self.answers(peer).last == "small now 6" })
        }
    }

    @Test func bodiesInPiecesAndCallersWhoLeave() async throws {
        let held = Held()
        try await run(held) { port in
            let peer = try await RawHTTP(port)
            for piece in ["POST /echo HTTP/1.1\r\nHost: x\r\nContent-Le", "ngth: 8\r\n\r\nno", "w ab", "cd"] {
                await peer.send(piece)
                try await Task.sleep(for: .milliseconds(20))
            }
            #expect(await eventually { Self.answers(peer) == ["small now abcd"] })
            await peer.send(Self.request("wait", "Connection: close\r\n"))
            #expect(await eventually { held.count == 1 })
            held.give()
            #expect(await eventually { peer.isOver })
            #expect(Self.answers(peer).last == "small wait" && peer.text.lowercased().contains("connection: close"))
            let gone = try await RawHTTP(port)
            await gone.send(Self.request("wait 2"))
            #expect(await eventually { held.count == 1 })
            await gone.close()
            try await Task.sleep(for: .milliseconds(50))
            held.give()
            let half = try await RawHTTP(port)
            await half.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\nnow")
            await half.close()
            let last = try await RawHTTP(port)
            await last.send(Self.request("now"))
            #expect(await eventually { Self.answers(last) == ["small now"] })
        }
    }
}
