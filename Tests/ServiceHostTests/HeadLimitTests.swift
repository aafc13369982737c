import FunnelModel
import Hummingbird
import NIOCore
import RPC
import ServiceHost
import Testing

/// Heads that are too long, and bodies that are refused.
@Suite(.timeLimit(.minutes(2)))
struct HeadLimitTests {
    private static func routes(_ router: ServiceRouter) {
        router.post("/upload") { request, _ in
            let bytes = try await ReceivedBody.read(request, limit: 1 << 20).content()
            return JSONResponse.text("\(bytes.count)\n")
        }
    }

    private static func door() -> HTTPPortState {
        var limits = HTTPPortState.Limits()
        limits.headBytes = 4 << 10
        return HTTPPortState(limits: limits)
    }

    /// Above 80 KiB the decoder gives up by itself.
    @Test(arguments: [4 << 10, 60 << 10, 100 << 10])
    func aLongHeadIsAnsweredAndEndsTheConnection(bytes: Int) async throws {
        let door = Self.door()
        try await withEdge(door, Self.routes) { port in
            for (field, body) in [("Content-Length: 2", "hi"), ("Accept: text/plain", "")] {
                let peer = try await RawHTTP(port)
                // A request before it is answered as usual.
                await peer.post("/upload", "Content-Length: 2")
                await peer.send("hi")
                let isAnswered = await eventually { peer.statuses == [200] }
                #expect(isAnswered)
                await peer.post("/upload", field, "X-Long: " + String(repeating: "a", count: bytes))
                await peer.send(body)
                let isOver = await eventually { peer.isOver }
                #expect(isOver && peer.statuses == [200, 431], "\(peer.text)")
                #expect(peer.text.contains(#""type":"urn:sluice:head_too_large""#) && peer.text.contains("(header-kb)"))
                #expect(peer.text.lowercased().contains("sluice-limit: header_kb"))
            }
            #expect(door.refusals[.head] == 2)
            let areLeft = await eventually { door.places.count == 0 }
            #expect(areLeft)
        }
    }

    @Test func aHeadAtTheLimitIsTaken() async throws {
        let door = Self.door()
        try await withEdge(door, Self.routes) { port in
            let peer = try await RawHTTP(port)
            await peer.post("/upload", "Content-Length: 2", "X-Long: " + String(repeating: "a", count: 4_000))
            await peer.send("hi")
            let isAnswered = await eventually { peer.statuses == [200] }
            #expect(isAnswered, "\(peer.text)")
            await peer.close()
            #expect(door.refusals[.head] == 0)
        }
    }

    /// A sender that reads only after it has sent its body gets the answer, and the connection ends without a reset.
    @Test func theRestOfARefusedBodyIsRead() async throws {
        try await withEdge(HTTPPortState(), Self.routes) { port in
            let peer = try await RawHTTP(port)
            let length = 1 << 20 + 1_000
            await peer.post("/upload", "Content-Length: \(length)")
            let isSent = await peer.send(ByteBuffer(repeating: 120, count: length))
            #expect(isSent)
            let isOver = await eventually { peer.isOver }
            #expect(isOver && peer.statuses == [413], "\(peer.text)")
        }
    }
}
