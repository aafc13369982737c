import Hummingbird
import NIOCore
import RPC
import ServiceHost
import Testing

/// Requests that another HTTP parser could read differently are refused, and nothing after them is read as a request.
@Suite(.timeLimit(.minutes(2)))
struct RequestFramingTests {
    private static let routes: @Sendable (ServiceRouter) -> Void = { router in
        router.post("/upload") { request, _ in
            JSONResponse.text("\(try await ReceivedBody.read(request, limit: 4 << 20).content().count)\n")
        }
    }

    private static func chunk(_ text: String, _ more: String = "") -> String {
        String(text.utf8.count, radix: 16) + more + "\r\n\(text)\r\n"
    }

    private static func post(_ fields: String...) -> String {
        "POST /upload HTTP/1.1\r\nHost: localhost\r\n" + fields.map { $0 + "\r\n" }.joined() + "\r\n"
    }

    private static let end = "0\r\n\r\n"
    private static let second = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    private static let chunked = post("Transfer-Encoding: chunked")

    static let refused: [String: String] = [
        "gzip, chunked": post("Transfer-Encoding: gzip, chunked") + chunk("hello") + end,
        "a coding that is not chunked": post("Transfer-Encoding: gzip") + chunk("hello") + end,
        "identity, chunked": post("Transfer-Encoding: identity, chunked") + chunk("hello") + end,
        "an empty coding and a length": post("Transfer-Encoding:", "Content-Length: 5") + "hello",
        "two hosts": post("Host: other", "Content-Length: 5") + "hello",
        "no host": "POST /upload HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
        "chunks of HTTP/1.0": "POST /upload HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk("hello") + end,
        "length and chunks": post("Transfer-Encoding: chunked", "Content-Length: 5") + chunk("hello") + end,
        "two lengths": post("Content-Length: 5", "Content-Length: 5") + "hello",
        "a bare LF": "POST /upload HTTP/1.1\r\nHost: localhost\nContent-Length: 5\r\n\r\nhello",
        "a folded field": post("Transfer-Encoding:\r\n chunked", "Content-Length: 5") + chunk("hello") + end,
        "a space before the colon": post("Transfer-Encoding : chunked") + chunk("hello") + end,
        "a size that overflows": chunked + "10000000000000005\r\nhello\r\n" + end,
        "a chunk extension of 200 KB": chunked + chunk("hello", ";a=" + String(repeating: "b", count: 200_000)) + end,
        "a size of 200,000 zeros": chunked + String(repeating: "0", count: 200_000) + chunk("hello") + end,
    ]

    @Test(arguments: refused.keys.sorted())
    func isRefusedAndTheConnectionCloses(what: String) async throws {
        let request = try #require(Self.refused[what])
        try await withEdge(HTTPPortState(), Self.routes) { port in
            let peer = try await RawHTTP(port)
            await peer.send(request + Self.second)
            let isOver = await eventually { peer.isOver }
            #expect(isOver)
            #expect(peer.statuses == [400], "\(peer.text)")
        }
    }

    /// Load balancers ask so.
    @Test func version10NeedsNoHost() async throws {
        try await withEdge(HTTPPortState(), Self.routes) { port in
            let peer = try await RawHTTP(port)
            await peer.send("POST /upload HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello")
            let isAnswered = await eventually { peer.statuses == [200] }
            #expect(isAnswered, "\(peer.text)")
        }
    }

    @Test func anEarlierRequestIsAnswered() async throws {
        let door = HTTPPortState()
        try await withEdge(door, Self.routes) { port in
            let peer = try await RawHTTP(port)
            await peer.send(Self.second + Self.post("Transfer-Encoding: gzip, chunked") + Self.chunk("hello") + Self.end + Self.second)
            let isOver = await eventually { peer.isOver }
            #expect(isOver)
            #expect(peer.statuses == [200] || peer.statuses == [200, 400], "\(peer.text)")
            #expect(door.refusals[.framing] == 1)
        }
    }

    @Test func ordinaryChunksAreRead() async throws {
        let door = HTTPPortState()
        try await withEdge(door, Self.routes) { port in
            let peer = try await RawHTTP(port)
            await peer.send(Self.post("Transfer-Encoding: Chunked") + Self.chunk("hello", ";name=value") + Self.end)
            // Chunks of one byte, as some senders write them.
            await peer.send(Self.chunked)
            for _ in 0..<20 { await peer.send(String(repeating: Self.chunk("x"), count: 5_000)) }
            await peer.send(Self.end + Self.second)
            let areAnswered = await eventually { peer.statuses == [200, 200, 200] }
            #expect(areAnswered, "\(peer.text)")
            #expect(peer.text.contains("\r\n\r\n5\n") && peer.text.contains("\r\n\r\n100000\n"), "\(peer.text)")
            #expect(door.refusals[.framing] == 0)
            await peer.close()
        }
    }
}
