import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import NIOSSL
import RPC
import ServiceRuntime

/// A fast path: answers POST requests with a short body to some paths on the connection's event loop, before the router sees them.
/// The router's task, its streams and its changes of thread cost several times as much as a request of one event.
package struct SmallRequests: Sendable {
    static let serverName = "sluice"

    /// Looks at a head that came on a connection; nil leaves the request to the router.
    package typealias Begin = @Sendable (HTTPRequest, RequestSender) -> Answer?
    /// Answers a request: returns true and calls `done` once, on any thread, before or after it returns. Or returns false and has
    /// done nothing: then the router answers.
    package typealias Answer = @Sendable (_ body: [UInt8], _ done: @escaping @Sendable (WholeAnswer) -> Void) -> Bool

    /// Max bytes of a body; longer ones go to the router.
    let bytesMax: Int
    let paths: [String: Begin]
    let account: HTTPRequestLog
    let logger: Logger

    /// `paths` are those of POST requests.
    package init(bytesMax: Int = 16 << 10, paths: [String: Begin], account: HTTPRequestLog, logger: Logger) {
        self.bytesMax = bytesMax
        self.paths = paths
        self.account = account
        self.logger = logger
    }

    /// Nil if the router has to answer.
    fileprivate func answer(for head: HTTPRequest, of sender: @autoclosure () -> RequestSender) -> Answer? {
        guard head.method == .post, let path = head.path, let begin = paths[path],
            let length = head.headerFields[.contentLength].flatMap({ Int($0) }), length <= bytesMax, length >= 0,
            head.headerFields[.contentEncoding] == nil, head.headerFields[.expect] == nil, head.headerFields[.transferEncoding] == nil
        else { return nil }
        return begin(head, sender())
    }
}

/// Hummingbird's channel, with TLS below it, and small requests answered before its task sees them.
struct ServiceChannel: HTTPChannelHandler {
    typealias Value = HTTP1Channel.Value

    private let base: HTTP1Channel
    private let small: SmallRequests?
    private let proxies: TrustedProxies
    private let tls: TLSFiles?

    init(_ base: HTTP1Channel, _ small: SmallRequests?, _ proxies: TrustedProxies, tls: TLSFiles?) {
        self.base = base
        self.small = small
        self.proxies = proxies
        self.tls = tls
    }

    var responder: Responder { base.responder }

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        channel.eventLoop.makeCompletedFuture {
            let operations = channel.pipeline.syncOperations
            // Made for each connection, since the certificate may be another one than before.
            if let tls { try operations.addHandler(NIOSSLServerHandler(context: tls.http)) }
            // Behind TLS, and in front of the decoder.
            try operations.addHandler(ReceivedBytes())
        }.flatMap {
            base.setup(channel: channel, logger: logger)
        }.flatMapThrowing { [small, proxies] value in
            let operations = channel.pipeline.syncOperations
            let decoder = try operations.handler(type: ByteToMessageHandler<HTTPRequestDecoder>.self)
            try operations.addHandler(RequestFraming.HeadVersion(), position: .after(decoder))
            try operations.handler(type: RequestGuard.self).received = operations.handler(type: ReceivedBytes.self)
            guard let small else { return value }
            // After the handler that closes idle connections, and all idle ones when the server stops.
            let state = try operations.handler(type: HTTPConnectionStateHandler.self)
            try operations.addHandler(SmallRequestHandler(small, proxies), position: .after(state))
            return value
        }
    }

    func handle(value: Value, logger: Logger) async { await base.handle(value: value, logger: logger) }
}

/// Answers the small requests of one connection, one at a time. Parts of the next request wait here until the answer is sent.
private final class SmallRequestHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private enum State {
        /// No small request is being answered.
        case passing
        case reading(HTTPRequest, [UInt8], SmallRequests.Answer)
        case answering
    }

    private let small: SmallRequests
    private let proxies: TrustedProxies
    private var state = State.passing
    /// Requests that the router has but has not answered.
    private var passed = 0
    private var waiting: [HTTPRequestPart] = []
    private var wantsRead = false

    init(_ small: SmallRequests, _ proxies: TrustedProxies) {
        self.small = small
        self.proxies = proxies
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { take(unwrapInboundIn(data), context) }

    private func take(_ part: HTTPRequestPart, _ context: ChannelHandlerContext) {
        switch (state, part) {
        case (.answering, _): waiting.append(part)
        case (.passing, .head(let head)):
            // Answers must keep the order of requests, so none may be open at the router.
            if passed == 0, let answer = small.answer(for: head, of: RequestSender(head, on: context.channel, proxies)) {
                state = .reading(head, [], answer)
            } else {
                passed += 1
                context.fireChannelRead(wrapInboundOut(part))
            }
        case (.passing, _): context.fireChannelRead(wrapInboundOut(part))
        case (.reading(let head, var bytes, let answer), .body(let more)):
            state = .passing
            bytes.append(contentsOf: more.readableBytesView)
            state = .reading(head, bytes, answer)
        case (.reading(let head, let bytes, let answer), .end): ask(answer, head, bytes, context)
        case (.reading, .head): pass(context, part)
        }
    }

    private func ask(_ answer: @escaping SmallRequests.Answer, _ head: HTTPRequest, _ bytes: [UInt8], _ context: ChannelHandlerContext) {
        state = .answering
        let start = ContinuousClock.now
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        let isTaken = answer(bytes) { result in
            let loop = bound.eventLoop
            if loop.inEventLoop {
                let (handler, context) = bound.value
                handler.write(result, head, start, context)
            } else {
                loop.execute {
                    let (handler, context) = bound.value
                    handler.write(result, head, start, context)
                }
            }
        }
        if isTaken { return }
        state = .reading(head, bytes, answer)
        pass(context, .end(nil))
        goOn(context)
    }

    /// Passes the parts read so far to the router.
    private func pass(_ context: ChannelHandlerContext, _ part: HTTPRequestPart?) {
        guard case .reading(let head, let bytes, _) = state else { return }
        state = .passing
        passed += 1
        context.fireChannelRead(wrapInboundOut(.head(head)))
        if !bytes.isEmpty { context.fireChannelRead(wrapInboundOut(.body(ByteBuffer(bytes: bytes)))) }
        if let part { context.fireChannelRead(wrapInboundOut(part)) }
    }

    private func write(_ answer: WholeAnswer, _ request: HTTPRequest, _ start: ContinuousClock.Instant, _ context: ChannelHandlerContext) {
        guard case .answering = state, context.channel.isActive else { return }
        state = .passing
        let id = RequestID.given(request.headerFields) ?? Hummingbird.RequestID().description
        var fields = answer.headers
        fields.append(HTTPField(name: .contentLength, value: "\(answer.bytes.count)"))
        fields.append(HTTPField(name: .server, value: SmallRequests.serverName))
        fields.append(HTTPField(name: .date, value: HTTPDate.now()))
        fields.append(HTTPField(name: .requestID, value: id))
        let ends = request.headerFields[.connection]?.lowercased() == "close"
        if ends { fields[.connection] = "close" }
        context.write(wrapOutboundOut(.head(HTTPResponse(status: answer.status, headerFields: fields))), promise: nil)
        if !answer.bytes.isEmpty { context.write(wrapOutboundOut(.body(ByteBuffer(bytes: answer.bytes))), promise: nil) }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        small.account.record(
            answer.status, answer.failure, ContinuousClock.now - start, method: .post, route: request.path,
            sender: RequestSender(request, on: context.channel, proxies).address, logger: logger(id, request))
        if ends { return context.close(promise: nil) }
        goOn(context)
    }

    private func logger(_ id: String, _ request: HTTPRequest) -> Logger {
        var logger = small.logger
        logger[metadataKey: "hb.request.id"] = "\(id)"
        if let trace = TraceParent.read(request.headerFields[.traceParent]) { logger[metadataKey: "traceparent"] = "\(trace)" }
        return logger
    }

    private func goOn(_ context: ChannelHandlerContext) {
        while !waiting.isEmpty {
            if case .answering = state { return }
            take(waiting.removeFirst(), context)
        }
        if case .answering = state { return }
        context.fireChannelReadComplete()
        guard wantsRead else { return }
        wantsRead = false
        context.read()
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if case .end = unwrapOutboundIn(data) { passed -= 1 }
        context.write(data, promise: promise)
    }

    /// Nothing more is read while an answer is awaited, so that little waits here.
    func read(context: ChannelHandlerContext) {
        if case .answering = state { wantsRead = true } else { context.read() }
    }

    /// The body was too slow or was evicted: the router answers that.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        pass(context, nil)
        context.fireErrorCaught(error)
    }

    func channelInactive(context: ChannelHandlerContext) {
        pass(context, nil)
        context.fireChannelInactive()
    }
}
