import Glibc
import NIOCore

/// Calls to the handler's owner, always on the event loop and never from inside the session.
package protocol HTTP2HandlerDelegate: AnyObject {
    /// The channel is active; the session may be used.
    func http2Active(_ handler: HTTP2Handler)
    /// One event of the session. Calls on the session are fine here; they are sent at the end of the batch.
    func http2(_ handler: HTTP2Handler, received event: HTTP2Event)
    /// Called once a second (more often with short timeouts) for the owner's own clocks.
    func http2Tick(_ handler: HTTP2Handler, now: UInt64)
    /// The connection is over for streams; called once. No error: an orderly end, or the peer closed the connection.
    func http2Closed(_ handler: HTTP2Handler, error: HTTP2Error?)
}

/// Runs one `HTTP2Session` on a channel: a single multiplexing handler, not a channel per stream.
///
/// Reads go into the session, its events to the delegate, and its output to the socket with one flush per read-complete.
/// Everything here happens on the channel's event loop.
package final class HTTP2Handler: ChannelInboundHandler {
    package typealias InboundIn = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    private enum State { case waiting, running, lingering, closed }

    /// Bytes that one round of pumping writes before it checks whether the socket keeps up.
    private static let roundBytes = 256 * 1024
    /// How long an abuser's input is discarded so that it gets our GOAWAY instead of a TCP reset.
    private static let linger: TimeAmount = .milliseconds(250)

    /// The session; only for the delegate, only on the event loop.
    package let session: HTTP2Session
    private let delegate: any HTTP2HandlerDelegate
    private var context: ChannelHandlerContext?
    private var state = State.waiting
    private var timers: ConnectionTimers?
    private var ticker: RepeatedTask?
    private var isDelivering = false
    private var isPumping = false
    private var isReading = false
    private var needsPump = false
    private var socketError: HTTP2Error?

    /// Makes the handler; the session sends its preface when the channel becomes active.
    package init(role: HTTP2Role, limits: HTTP2Limits, delegate: any HTTP2HandlerDelegate) throws(HTTP2Error) {
        session = try HTTP2Session(role: role, limits: limits)
        self.delegate = delegate
    }

    /// Sends what the session has to say: now, or at the end of the batch being delivered or read.
    package func pump() {
        needsPump = true
        if !isDelivering && !isPumping && !isReading { runPump() }
    }

    /// Closes the channel at once; open streams are lost.
    package func close() {
        context?.close(promise: nil)
    }

    // MARK: ChannelInboundHandler

    package func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if context.channel.isActive { start(context) }
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        end(nil)
        self.context = nil
    }

    package func channelActive(context: ChannelHandlerContext) {
        start(context)
        context.fireChannelActive()
    }

    package func channelInactive(context: ChannelHandlerContext) {
        end(socketError)
        context.fireChannelInactive()
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard state == .running else { return }
        isReading = true
        do throws(HTTP2Error) {
            try session.receive(unwrapInboundIn(data), now: context.eventLoop.now.uptimeNanoseconds)
        } catch {
            abort(error)
            return
        }
        needsPump = true
        deliver()
    }

    package func channelReadComplete(context: ChannelHandlerContext) {
        isReading = false
        if needsPump { runPump() }
        context.fireChannelReadComplete()
    }

    package func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable && !isReading { pump() }
        context.fireChannelWritabilityChanged()
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // TLS and socket errors end here: only the delegate reports them, so nothing is logged twice.
        if socketError == nil {
            let reason = (error as? IOError).map { unsafe String(cString: strerror($0.errnoCode)) } ?? "\(error)"
            socketError = HTTP2Error(.connectionLost, "connection failed: \(reason)", wireCode: .internalError)
        }
        context.close(promise: nil)
    }

    // MARK: Running

    private func start(_ context: ChannelHandlerContext) {
        guard state == .waiting else { return }
        state = .running
        let timers = ConnectionTimers(limits: session.limits, now: context.eventLoop.now.uptimeNanoseconds)
        self.timers = timers
        let period = TimeAmount.nanoseconds(timers.tickNanoseconds)
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        ticker = context.eventLoop.scheduleRepeatedTask(initialDelay: period, delay: period) { _ in bound.value.tick() }
        delegate.http2Active(self)
        pump()
    }

    private func deliver() {
        guard !isDelivering else { return }
        isDelivering = true
        defer { isDelivering = false }
        while state == .running {
            let batch = session.takeEvents()
            if batch.isEmpty { return }
            for event in batch {
                // The delegate may have closed the channel meanwhile.
                guard state == .running else { return }
                if case .peerReady = event { timers?.isPeerReady = true }
                delegate.http2(self, received: event)
            }
        }
    }

    private func runPump() {
        // While the socket is full everything waits for `channelWritabilityChanged`.
        guard !isPumping, state == .running, let context, context.channel.isWritable else { return }
        isPumping = true
        defer { isPumping = false }
        var hasMore = false
        repeat {
            needsPump = false
            do throws(HTTP2Error) {
                hasMore = try session.pump(upTo: Self.roundBytes)
            } catch {
                abort(error)
                return
            }
            write(context)
            deliver()
        } while state == .running && (needsPump || (hasMore && context.channel.isWritable))
        if state == .running && session.isFinished { closeAfterWrites(context) }
    }

    private func write(_ context: ChannelHandlerContext) {
        let pieces = session.takeOutput()
        guard !pieces.isEmpty else { return }
        for piece in pieces { context.write(wrapOutboundOut(piece), promise: nil) }
        context.flush()
    }

    /// The session is over in good order: close once the last bytes are out.
    private func closeAfterWrites(_ context: ChannelHandlerContext) {
        end(session.failure)
        state = .lingering
        let written = context.eventLoop.makePromise(of: Void.self)
        context.writeAndFlush(wrapOutboundOut(ByteBuffer()), promise: written)
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        // Unread input costs a client nothing, and if it closes first the server need not wait.
        let wait = session.role == .client ? .zero : Self.linger
        written.futureResult.whenComplete { _ in bound.value.closeLater(after: wait) }
        closeLater(after: .nanoseconds(session.limits.writeStallTimeout.boundedNanoseconds))
    }

    private func abort(_ error: HTTP2Error) {
        isReading = false
        guard state == .running, let context else { return }
        session.fail(error)
        end(session.failure)
        state = .lingering
        write(context)
        closeLater(after: Self.linger)
    }

    /// Closes after a moment of discarded input, because closing a socket with unread input makes the kernel drop what
    /// we just said. A peer that closes first ends it sooner.
    private func closeLater(after time: TimeAmount) {
        guard let context else { return }
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: time) { bound.value.close() }
    }

    private func tick() {
        guard state == .running, let context, timers != nil else { return }
        let now = context.eventLoop.now.uptimeNanoseconds
        let facts = ConnectionTimers.Facts(
            isInHeaderBlock: session.isInHeaderBlock,
            openStreams: session.openStreams,
            isWritable: context.channel.isWritable
        )
        switch timers?.check(facts, now: now) {
        case .tooSlow(let what):
            abort(HTTP2Error(.timeout, what, wireCode: .noError))
            return
        case .idle:
            session.goAway(code: .noError)
            needsPump = true
        default:
            break
        }
        let stall = UInt64(session.limits.writeStallTimeout.boundedNanoseconds)
        for stream in session.stalledStreams(now: now, limit: stall) {
            session.reset(stream: stream, code: .cancel)
            needsPump = true
        }
        delegate.http2Tick(self, now: now)
        if needsPump { runPump() }
    }

    private func end(_ error: HTTP2Error?) {
        guard state == .running || state == .waiting else {
            state = .closed
            return
        }
        state = .closed
        ticker?.cancel()
        ticker = nil
        delegate.http2Closed(self, error: error)
    }
}

@available(*, unavailable)
extension HTTP2Handler: Sendable {}
