import HTTP2
import NIOCore
import Testing

struct SessionTests {
    @Test(arguments: [1, 7, 1000, Int.max])
    func requestAndResponseArriveWholeHoweverTheyAreCut(step: Int) throws {
        let pair = try Pair()
        pair.step = step
        let body = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let stream = try #require(pair.client.submitRequest(.request("/a"), hasBody: true))
        pair.client.send(stream: stream, data: ByteBuffer(bytes: body))
        pair.client.finish(stream: stream)
        let there = try pair.exchange().server
        #expect(there.heads().first?.fields[":path"] == "/a")
        #expect(there.body(stream) == body)
        #expect(there.ended(stream))

        pair.server.submitResponse(stream: stream, fields: .response(200), endStream: false)
        pair.server.send(stream: stream, data: ByteBuffer(bytes: body))
        pair.server.finish(stream: stream)
        let back = try pair.exchange().client
        #expect(back.heads().first?.fields.decimal(":status") == 200)
        #expect(back.body(stream) == body)
        #expect(back.closes()[stream] == .noError)
        #expect(pair.client.openStreams == 0)
        #expect(pair.server.openStreams == 0)
    }

    @Test func finishedStreamsAreRetired() throws {
        let pair = try Pair()
        for _ in 0..<1000 {
            let stream = try #require(pair.client.submitRequest(.request("/"), hasBody: false))
            _ = try pair.exchange()
            pair.server.submitResponse(stream: stream, fields: .response(204), endStream: true)
            #expect(try pair.exchange().client.closes()[stream] == .noError)
        }
        #expect(pair.client.openStreams == 0)
        #expect(pair.server.openStreams == 0)
    }

    @Test func retiringOneStreamLeavesActiveOnesAlone() throws {
        let pair = try Pair()
        let active = try #require(pair.client.submitRequest(.request("/active"), hasBody: true))
        for _ in 0..<300 {
            let stream = try #require(pair.client.submitRequest(.request("/"), hasBody: false))
            _ = try pair.exchange()
            pair.server.submitResponse(stream: stream, fields: .response(200), endStream: true)
            _ = try pair.exchange()
        }
        pair.client.send(stream: active, data: ByteBuffer(string: "still here"))
        pair.client.finish(stream: active)
        #expect(try pair.exchange().server.body(active) == Array("still here".utf8))
    }

    @Test func sendingStopsAtTheWindowAndGoesOnWithCredit() throws {
        var limits = HTTP2Limits()
        limits.streamWindowBytes = 100_000
        let pair = try Pair(limits: limits)
        pair.credits = false
        let stream = try #require(pair.client.submitRequest(.request("/"), hasBody: false))
        _ = try pair.exchange()
        pair.server.submitResponse(stream: stream, fields: .response(200), endStream: false)
        pair.server.send(stream: stream, data: ByteBuffer(repeating: 7, count: 250_000))
        pair.server.finish(stream: stream)
        #expect(try pair.exchange().client.body(stream).count == 100_000)
        #expect(pair.server.queuedBytes(stream: stream) == 150_000)
        pair.client.creditStream(stream, bytes: 100_000)
        pair.client.creditConnection(bytes: 100_000)
        #expect(try pair.exchange().client.body(stream).count == 100_000)
        pair.client.creditStream(stream, bytes: 100_000)
        let last = try pair.exchange().client
        #expect(last.body(stream).count == 50_000)
        #expect(last.ended(stream))
    }

    @Test func resetDuringDataEndsThatStreamOnly() throws {
        let pair = try Pair()
        let first = try #require(pair.client.submitRequest(.request("/1"), hasBody: true))
        let second = try #require(pair.client.submitRequest(.request("/2"), hasBody: true))
        pair.client.send(stream: first, data: ByteBuffer(repeating: 1, count: 3_000_000))
        pair.client.send(stream: second, data: ByteBuffer(repeating: 2, count: 3_000_000))
        pair.client.finish(stream: second)
        // Half of it is on its way when the reset comes.
        _ = try pair.client.pump(upTo: 1_000_000)
        var events: [HTTP2Event] = []
        for piece in pair.client.takeOutput() {
            try pair.server.receive(piece, now: 0)
            events += pair.server.takeEvents()
        }
        pair.server.reset(stream: first, code: .cancel)
        pair.server.send(stream: first, data: ByteBuffer(string: "into the void"))
        let rest = try pair.exchange()
        #expect(rest.client.closes()[first] == .cancel)
        #expect((events + rest.server).body(second).count == 3_000_000)
        #expect(pair.client.queuedBytes(stream: first) == 0)
    }

    @Test func pumpStopsNearItsLimit() throws {
        let pair = try Pair()
        let stream = try #require(pair.client.submitRequest(.request("/"), hasBody: true))
        _ = try pair.exchange()
        pair.client.send(stream: stream, data: ByteBuffer(repeating: 1, count: 3_000_000))
        #expect(try pair.client.pump(upTo: 200_000))
        let size = pair.client.takeOutput().reduce(0) { $0 + $1.readableBytes }
        #expect(size >= 200_000 && size < 200_000 + 17_000)
        // A stream that goes away with a frame prepared but not sent.
        pair.client.reset(stream: stream, code: .cancel)
        _ = try pair.client.drain()
        #expect(pair.client.openStreams == 0)
    }

    @Test func goAwayLetsOpenStreamsFinishAndRefusesNewOnes() throws {
        let pair = try Pair()
        let stream = try #require(pair.client.submitRequest(.request("/"), hasBody: false))
        _ = try pair.exchange()
        let late = try #require(pair.client.submitRequest(.request("/late"), hasBody: false))
        let lateBytes = try pair.client.drain()
        pair.server.goAway(code: .noError)
        let goAway = try pair.server.drain()
        try pair.client.receive(goAway, now: 0)
        #expect(pair.client.takeEvents().closes()[late] == .refusedStream)
        #expect(pair.client.submitRequest(.request("/"), hasBody: false) == nil)
        try pair.server.receive(lateBytes, now: 0)
        #expect(pair.server.takeEvents().heads().isEmpty)
        #expect(!pair.server.isFinished)
        pair.server.submitResponse(stream: stream, fields: .response(200), endStream: true)
        #expect(try pair.exchange().client.closes()[stream] == .noError)
        #expect(pair.server.isFinished)
        #expect(pair.client.isFinished)
    }

    @Test func answerBeforeTheEndOfTheRequestStopsTheRest() throws {
        let pair = try Pair()
        let stream = try #require(pair.client.submitRequest(.request("/"), hasBody: true))
        _ = try pair.exchange()
        pair.server.submitResponse(stream: stream, fields: .response(413), endStream: true)
        pair.server.resetAfterEnd(stream: stream, code: .noError)
        let events = try pair.exchange().client
        #expect(events.heads().first?.fields.decimal(":status") == 413)
        #expect(events.closes()[stream] == .noError)
    }

    @Test func streamsOverTheLimitAreRefused() throws {
        var limits = HTTP2Limits()
        limits.maxConcurrentStreams = 10
        let server = try HTTP2Session(role: .server, limits: limits)
        // Our SETTINGS must be acknowledged before the limit binds a peer.
        try server.receive(ByteBuffer(bytes: Raw.preface + Raw.settings), now: 0)
        _ = try server.drain()
        try server.receive(ByteBuffer(bytes: Raw.frame(4, flags: 1)), now: 0)
        for index in 0..<50 {
            try server.receive(ByteBuffer(bytes: Raw.request(UInt32(index * 2 + 1))), now: 0)
        }
        _ = try server.drain()
        #expect(server.openStreams == 10)
    }

    @Test func requestsWithoutPathAreResetNotDelivered() throws {
        let pair = try Pair()
        var fields = HTTP2Fields()
        fields.append(":method", "POST")
        fields.append(":scheme", "http")
        let stream = try #require(pair.client.submitRequest(fields, hasBody: false))
        let events = try pair.exchange()
        #expect(events.server.heads().isEmpty)
        #expect(events.client.closes()[stream] == .protocolError)
    }

    @Test func decimalTakesDigitsOnly() {
        var fields = HTTP2Fields()
        for (name, value) in [("a", "12"), ("b", "-1"), ("c", ""), ("d", "9999999999999999999"), ("e", "1x")] {
            fields.append(name, value)
        }
        #expect(fields.decimal("a") == 12)
        #expect(fields.decimal("b") == nil)
        #expect(fields.decimal("c") == nil)
        #expect(fields.decimal("d") == nil)
        #expect(fields.decimal("e") == nil)
        #expect(fields["missing"] == nil)
    }
}
