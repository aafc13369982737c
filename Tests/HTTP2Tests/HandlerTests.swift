import HTTP2
import NIOCore
import NIOEmbedded
import Testing

/// Answers every request from inside the event, and remembers how the connection ended.
private final class Answerer: HTTP2HandlerDelegate {
    var closes = 0
    var error: HTTP2Error?
    var streamCloses: [Int32] = []
    var answer: (HTTP2Handler, Int32) -> Void = { handler, stream in
        handler.session.submitResponse(stream: stream, fields: .response(200), endStream: true)
        handler.pump()
    }

    func http2Active(_ handler: HTTP2Handler) {}
    func http2(_ handler: HTTP2Handler, received event: HTTP2Event) {
        if case .head(let stream, _) = event { answer(handler, stream) }
        if case .closed(let stream, _) = event { streamCloses.append(stream) }
    }
    func http2Tick(_ handler: HTTP2Handler, now: UInt64) {}
    func http2Closed(_ handler: HTTP2Handler, error: HTTP2Error?) {
        closes += 1
        self.error = error
    }
}

private final class FlushCounter: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer
    var flushes = 0
    func flush(context: ChannelHandlerContext) {
        flushes += 1
        context.flush()
    }
}

struct HandlerTests {
    private let answerer = Answerer()
    private let counter = FlushCounter()

    private func open(_ limits: HTTP2Limits = HTTP2Limits()) throws -> EmbeddedChannel {
        let channel = EmbeddedChannel()
        try channel.pipeline.syncOperations.addHandler(counter)
        try channel.pipeline.syncOperations.addHandler(
            HTTP2Handler(role: .server, limits: limits, delegate: answerer))
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        return channel
    }

    /// An embedded channel left open keeps itself alive.
    private func finish(_ channel: EmbeddedChannel) {
        channel.embeddedEventLoop.advanceTime(by: .hours(1))
        _ = try? channel.finish(acceptAlreadyClosed: true)
    }

    private func output(_ channel: EmbeddedChannel) throws -> [UInt8] {
        var all: [UInt8] = []
        while let piece = try channel.readOutbound(as: ByteBuffer.self) { all += piece.readableBytesView }
        return all
    }

    @Test func bareConnectAndCloseIsNoError() throws {
        let channel = try open()
        defer { finish(channel) }
        channel.pipeline.fireChannelInactive()
        #expect(answerer.closes == 1)
        #expect(answerer.error == nil)
    }

    @Test func badPrefaceClosesWithAnError() throws {
        let channel = try open()
        defer { finish(channel) }
        try channel.writeInbound(ByteBuffer(string: "GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
        #expect(answerer.error?.code == .badPreface)
        channel.embeddedEventLoop.advanceTime(by: .seconds(1))
        #expect(!channel.isActive)
        #expect(answerer.closes == 1)
    }

    @Test func manyRequestsInOneReadMakeOneFlush() throws {
        let channel = try open()
        defer { finish(channel) }
        let before = counter.flushes
        var bytes = Raw.preface + Raw.settings
        for index in 0..<20 { bytes += Raw.request(UInt32(index * 2 + 1), ends: true) }
        try channel.writeInbound(ByteBuffer(bytes: bytes))
        #expect(counter.flushes == before + 1)
        #expect(answerer.streamCloses.count == 20)
    }

    @Test func answeringResettingAndClosingFromInsideAnEventIsSafe() throws {
        answerer.answer = { handler, stream in
            handler.session.submitResponse(stream: stream, fields: .response(200), endStream: false)
            handler.session.send(stream: stream, data: ByteBuffer(repeating: 1, count: 100_000))
            handler.pump()
            if stream == 3 { handler.session.reset(stream: 1, code: .cancel) }
            if stream == 5 { handler.close() }
            handler.pump()
        }
        let channel = try open()
        defer { finish(channel) }
        let bytes = Raw.preface + Raw.settings + Raw.request(1) + Raw.request(3) + Raw.request(5) + Raw.request(7)
        _ = try? channel.writeInbound(ByteBuffer(bytes: bytes))
        #expect(answerer.closes == 1)
    }

    @Test func endOfFileEndsStreamsWithUnsentData() throws {
        answerer.answer = { handler, stream in
            handler.session.submitResponse(stream: stream, fields: .response(200), endStream: false)
            handler.session.send(stream: stream, data: ByteBuffer(repeating: 1, count: 1_000_000))
        }
        let channel = try open()
        defer { finish(channel) }
        try channel.writeInbound(ByteBuffer(bytes: Raw.preface + Raw.settings + Raw.request(1, ends: true)))
        #expect(answerer.closes == 0)
        channel.pipeline.fireChannelInactive()
        #expect(answerer.closes == 1)
    }

    @Test func silentPeerIsClosedAfterThePrefaceTimeout() throws {
        let channel = try open()
        defer { finish(channel) }
        channel.embeddedEventLoop.advanceTime(by: .seconds(4))
        #expect(channel.isActive)
        channel.embeddedEventLoop.advanceTime(by: .seconds(3))
        #expect(!channel.isActive)
        #expect(answerer.error?.code == .timeout)
    }

    @Test func slowHeaderBlockIsClosed() throws {
        let channel = try open()
        defer { finish(channel) }
        try channel.writeInbound(ByteBuffer(bytes: Raw.preface + Raw.settings))
        // END_HEADERS is set, but the payload never completes.
        let request = Raw.request(1)
        for byte in request.dropLast() {
            try channel.writeInbound(ByteBuffer(bytes: [byte]))
            channel.embeddedEventLoop.advanceTime(by: .seconds(2))
        }
        #expect(answerer.error?.code == .timeout)
        #expect(!channel.isActive)
    }

    @Test func idleConnectionGetsGoAwayAndIsClosed() throws {
        var limits = HTTP2Limits()
        limits.idleTimeout = .seconds(30)
        let channel = try open(limits)
        defer { finish(channel) }
        try channel.writeInbound(ByteBuffer(bytes: Raw.preface + Raw.settings))
        channel.embeddedEventLoop.advanceTime(by: .seconds(20))
        try channel.writeInbound(ByteBuffer(bytes: Raw.request(1, ends: true)))
        #expect(channel.isActive)
        _ = try output(channel)
        channel.embeddedEventLoop.advanceTime(by: .seconds(40))
        #expect(!channel.isActive)
        #expect(answerer.error == nil)
        #expect(try output(channel).dropFirst(3).first == 7)
    }

    @Test func stalledStreamIsReset() throws {
        answerer.answer = { handler, stream in
            handler.session.submitResponse(stream: stream, fields: .response(200), endStream: false)
            handler.session.send(stream: stream, data: ByteBuffer(repeating: 1, count: 1_000_000))
        }
        let channel = try open()
        defer { finish(channel) }
        try channel.writeInbound(ByteBuffer(bytes: Raw.preface + Raw.settings + Raw.request(1, ends: true)))
        channel.embeddedEventLoop.advanceTime(by: .seconds(20))
        #expect(answerer.streamCloses.isEmpty)
        channel.embeddedEventLoop.advanceTime(by: .seconds(20))
        #expect(answerer.streamCloses == [1])
        #expect(channel.isActive)
    }

    @Test func abuserGetsGoAwayBeforeTheClose() throws {
        let channel = try open()
        defer { finish(channel) }
        try channel.writeInbound(ByteBuffer(bytes: Raw.preface + Raw.settings))
        _ = try output(channel)
        var flood: [UInt8] = []
        for _ in 0..<2000 { flood += Raw.frame(2, stream: 1, Raw.bytes(0) + [16]) }
        try channel.writeInbound(ByteBuffer(bytes: flood))
        #expect(try output(channel).suffix(4) == Raw.bytes(HTTP2ErrorCode.enhanceYourCalm.rawValue)[...])
        #expect(channel.isActive)
        channel.embeddedEventLoop.advanceTime(by: .seconds(1))
        #expect(!channel.isActive)
    }
}
