import FunnelModel
import FunnelProtocol
import HTTP2
import HTTPTypes
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import RPC

/// Enforces the limits of one HTTP connection: it must have a place, heads and bodies must arrive in time, little is read of a
/// body that was answered early, and no request may have a length that another parser could read differently (`RequestFraming`).
final class RequestGuard: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private let shared: HTTPPortState
    private let looksEvery: TimeAmount
    private var place: ConnectionPlaces.Place?
    private var isOnProbation = false
    /// The head of a request has arrived, and its end has not.
    private var isReading = false
    /// Requests whose answer is not complete.
    private var unanswered = 0
    /// Deadline of the head that is awaited or has begun.
    private var headEnd: NIODeadline?
    private var clock: BodyClock?
    /// Of a chunked body that is being read.
    private var chunks: RequestFraming.Chunks?
    /// What the decoder is fed; nil in a pipeline without it.
    var received: ReceivedBytes?
    private var hasParts = false
    /// The reader waits for more: a delay is now the sender's fault.
    private var wantsRead = false
    private var isLooking = false
    /// The connection closes after the current answer, and the rest of the body is dropped.
    private var isEnding = false
    /// The head of a request was refused here, and has its answer.
    private var isRefused = false
    private var restBytes: Int

    init(_ shared: HTTPPortState) {
        self.shared = shared
        restBytes = shared.limits.restBytes
        let shortest = min(shared.limits.head.boundedNanoseconds, shared.limits.body.window.boundedNanoseconds)
        looksEvery = .nanoseconds(min(1_000_000_000, max(10_000_000, shortest / 4)))
    }

    // MARK: The connection

    func handlerAdded(context: ChannelHandlerContext) {
        let channel = context.channel
        let now = context.eventLoop.now
        let address = limitAddress(channel.remoteAddress)
        let isProxy = shared.proxies.contains(channel.remoteAddress)
        switch shared.places.admit(
            address, isOfMany: isProxy, now: now.uptimeNanoseconds, close: { channel.close(promise: nil) })
        {
        case .place(let place):
            take(place, context)
        case .onProbation(let place):
            take(place, context)
            isOnProbation = true
            let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
            context.eventLoop.scheduleTask(in: .nanoseconds(shared.limits.probation.boundedNanoseconds)) {
                if channel.isActive { bound.value.refuse(.probation, channel) }
            }
        case .refused:
            let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
            // Only once the channel is set up.
            context.eventLoop.execute { bound.value.refuse(.connections, channel) }
        }
        headEnd = now + .nanoseconds(shared.limits.head.boundedNanoseconds)
        look(context)
    }

    private func take(_ place: ConnectionPlaces.Place, _ context: ChannelHandlerContext) {
        self.place = place
        context.channel.closeFuture.whenComplete { [shared] _ in shared.places.leave(place) }
    }

    private func refuse(_ reason: HTTPRefusal, _ channel: any Channel) {
        shared.refusals.count(reason)
        channel.close(promise: nil)
    }

    // MARK: Requests

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        hasParts = true
        let part = unwrapInboundIn(data)
        guard !isEnding else { return drop(part, context) }
        switch part {
        case .head(let head):
            if let fault = RequestFraming.fault(of: head) { return refuse(fault, context) }
            chunks = head.headerFields[.transferEncoding] == nil ? nil : received.map { .init(receivedBefore: $0.count) }
            isReading = true
            unanswered += 1
            headEnd = nil
            place?.setBusy()
            if head.isLonger(than: shared.limits.headBytes) { return refuseHead(context) }
            clock = BodyClock(
                shared.limits.body, expected: head.headerFields[.contentLength].flatMap { Int($0) } ?? .max,
                now: context.eventLoop.now.uptimeNanoseconds)
        case .body(let bytes):
            clock?.arrived(bytes.readableBytes)
            chunks?.bodyBytes += bytes.readableBytes
        case .end:
            isReading = false
            clock = nil
            chunks = nil
        }
        context.fireChannelRead(data)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        wantsRead = false
        // Bytes came without a complete part, and no request is running: a head has begun.
        if !hasParts, !isReading, unanswered == 0, headEnd == nil {
            headEnd = context.eventLoop.now + .nanoseconds(shared.limits.head.boundedNanoseconds)
        }
        hasParts = false
        if let chunks, let received, chunks.areTooLarge(received: received.count) { cut(.chunks, context) }
        if isReading || headEnd != nil { look(context) }
        context.fireChannelReadComplete()
    }

    func read(context: ChannelHandlerContext) {
        guard restBytes >= 0 else { return }
        wantsRead = true
        context.read()
    }

    /// Answers 400 for a head, which nobody else sees. The connection closes, since what follows may be its body or no request at all.
    private func refuse(_ fault: String, _ context: ChannelHandlerContext) {
        shared.refusals.count(.framing)
        headEnd = nil
        isEnding = true
        isRefused = true
        // Earlier requests are answered, and then the connection closes without an answer to this one.
        guard unanswered == 0 else { return }
        let answer = WholeAnswer(ProtocolError(.invalidMessage, fault))
        var head = HTTPResponse(status: answer.status, headerFields: answer.headers)
        head.headerFields[.contentLength] = "\(answer.bytes.count)"
        head.headerFields[.connection] = "close"
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(wrapOutboundOut(.body(ByteBuffer(bytes: answer.bytes))), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        close(context.channel, false)
    }

    private func drop(_ part: HTTPRequestPart, _ context: ChannelHandlerContext) {
        switch part {
        case .head: break
        case .body(let bytes): restBytes -= bytes.readableBytes
        case .end:
            isReading = false
            if unanswered == 0 { context.close(promise: nil) }
        }
    }

    /// Answers a head that is too long, and closes the connection.
    private func refuseHead(_ context: ChannelHandlerContext) {
        shared.refusals.count(.head)
        isEnding = true
        // The answer to an earlier request comes first, and ends the connection.
        guard unanswered <= 1 else { return unanswered -= 1 }
        unanswered = 1
        let reason = "the head of the request is over the limit of \(shared.limits.headBytes) bytes (header-kb); nothing was done"
        let problem: JSONValue = [
            "type": "urn:sluice:head_too_large", "title": "head too large", "status": 431, "detail": .text(reason), "limit": "header_kb",
        ]
        let answer = WholeAnswer(
            problem.encode(), type: "application/problem+json", status: .requestHeaderFieldsTooLarge, headers: [.limit: "header_kb"])
        var head = HTTPResponse(status: answer.status, headerFields: answer.headers)
        head.headerFields[.contentLength] = "\(answer.bytes.count)"
        write(context: context, data: wrapOutboundOut(.head(head)), promise: nil)
        write(context: context, data: wrapOutboundOut(.body(ByteBuffer(bytes: answer.bytes))), promise: nil)
        write(context: context, data: wrapOutboundOut(.end(nil)), promise: nil)
    }

    /// A head so long that the decoder gives up is answered in the same way. What the decoder says of the bytes behind a refused head would
    /// get a second answer.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if isRefused { return }
        guard case HTTPParserError.headerOverflow? = error as? HTTPParserError, !isEnding else { return context.fireErrorCaught(error) }
        isReading = true
        unanswered += 1
        headEnd = nil
        refuseHead(context)
    }

    /// Gives up the body: its reader gets `reason` as an error.
    func cut(_ reason: BodyCut, _ context: ChannelHandlerContext) {
        guard isReading, !isEnding else { return }
        shared.refusals.count(HTTPRefusal(reason))
        isEnding = true
        context.fireErrorCaught(reason)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let reason = event as? BodyCut { return cut(reason, context) }
        context.fireUserInboundEventTriggered(event)
    }

    // MARK: Answers

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(var head) where head.status.kind != .informational:
            // The answer is early if it is for the only request whose body has not ended.
            let ends = head.headerFields[.connection]?.lowercased() == "close"
            if isReading && unanswered == 1 || isOnProbation || ends { isEnding = true }
            if let reason = HTTPRefusal(head) { shared.refusals.count(reason) }
            guard isEnding, !ends else { return context.write(data, promise: promise) }
            head.headerFields[.connection] = "close"
            context.write(wrapOutboundOut(.head(head)), promise: promise)
        case .end:
            // Bytes that are no request are answered too, with 400; they are not counted in `unanswered`.
            let isWhole = !isReading && unanswered > 0
            unanswered = max(0, unanswered - 1)
            if unanswered == 0 { place?.setIdle(now: context.eventLoop.now.uptimeNanoseconds) }
            guard isEnding, unanswered == 0 else { return context.write(data, promise: promise) }
            context.writeAndFlush(data, promise: promise)
            close(context.channel, isWhole)
        case .body(let bytes) where bytes.readableBytes >= AnswerBudget.shortBytes:
            context.write(data, promise: hold(bytes.capacity, promise, context))
        default:
            context.write(data, promise: promise)
        }
    }

    /// Counts the memory of a body part of an answer until it is sent.
    private func hold(_ bytes: Int, _ promise: EventLoopPromise<Void>?, _ context: ChannelHandlerContext) -> EventLoopPromise<Void> {
        let (shared, channel) = (shared, context.channel)
        let ticket = shared.answers.take(bytes, ticket: nil) {
            shared.refusals.count(.unread)
            channel.close(promise: nil)
        }
        let promise = promise ?? context.eventLoop.makePromise()
        promise.futureResult.whenComplete { _ in shared.answers.release(ticket) }
        return promise
    }

    /// Closes the connection. After an early answer it waits, since closing with unread bytes makes the kernel drop the answer.
    private func close(_ channel: any Channel, _ isWhole: Bool) {
        guard !isWhole else { return channel.close(promise: nil) }
        channel.eventLoop.scheduleTask(in: .nanoseconds(shared.limits.linger.boundedNanoseconds)) { channel.close(promise: nil) }
    }

    // MARK: Clocks

    private func look(_ context: ChannelHandlerContext) {
        guard !isLooking else { return }
        isLooking = true
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: looksEvery) {
            let (handler, context) = bound.value
            handler.isLooking = false
            handler.check(context)
        }
    }

    private func check(_ context: ChannelHandlerContext) {
        guard context.channel.isActive else { return }
        let now = context.eventLoop.now
        if let headEnd, now >= headEnd { return refuse(.slowHead, context.channel) }
        if isReading, !isEnding {
            if !wantsRead {
                clock?.hold(now: now.uptimeNanoseconds)
            } else if clock?.isLate(now: now.uptimeNanoseconds) == true {
                cut(.slow, context)
            }
        }
        if isReading && !isEnding || headEnd != nil { look(context) }
    }
}

@available(*, unavailable)
extension RequestGuard: Sendable {}

extension HTTPRequest {
    /// Whether target and header fields have more bytes than this.
    fileprivate func isLonger(than most: Int) -> Bool {
        var bytes = path?.utf8.count ?? 0
        for field in headerFields { bytes += field.name.rawName.utf8.count + field.value.utf8.count }
        return bytes > most
    }
}
