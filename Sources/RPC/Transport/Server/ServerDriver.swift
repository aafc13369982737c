import HTTP2
import Logging
import NIOCore
import Synchronization

/// One server connection between its HTTP/2 session and its calls. Lives on the connection's event loop.
final class ServerDriver: HTTP2HandlerDelegate {
    /// A request that is arriving or being answered. A class, so that its body has one owner and grows in place.
    private final class Request {
        let head: CallHead
        /// Bytes that the body may have.
        let bodyMax: Int
        var deadline: NIODeadline?
        var body = ByteBuffer()
        /// The memory of the body, once there is any.
        var lease: BodyLease?
        var clock: BodyClock
        var call: ServerCall?
        var expiry: Scheduled<Void>?
        /// Answered before it was complete: what still arrives is dropped.
        var isRejected = false

        var isArriving: Bool { call == nil && !isRejected }

        init(head: CallHead, bodyMax: Int, clock: BodyClock) {
            self.head = head
            self.bodyMax = bodyMax
            self.clock = clock
        }
    }

    private let shared: ServerShared
    private let connection: ServerConnection
    private let place: ConnectionPlaces.Place
    /// Accounts of the bodies while the peer has proven no role.
    private let bodies: [BodyBudget.Account]
    private let mailbox: TransportMailbox<ServerOperation>
    private let eventLoop: any EventLoop
    private var requests: [Int32: Request] = [:]
    /// Body bytes of each handler that still runs; outlives the stream.
    private var running: [Int32: Int] = [:]
    private var backlog: ServerBacklog
    private var isDraining = false
    private weak var handler: HTTP2Handler?

    init(
        shared: ServerShared, connection: ServerConnection, place: ConnectionPlaces.Place, bodies: [BodyBudget.Account],
        mailbox: TransportMailbox<ServerOperation>, eventLoop: any EventLoop
    ) {
        self.shared = shared
        self.connection = connection
        self.place = place
        self.bodies = bodies
        self.mailbox = mailbox
        self.eventLoop = eventLoop
        backlog = ServerBacklog(limit: shared.limits.maxBacklogBytes)
    }

    // MARK: HTTP2HandlerDelegate

    func http2Active(_ handler: HTTP2Handler) {
        self.handler = handler
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        mailbox.open { bound.value.drainMailbox() }
    }

    func http2(_ handler: HTTP2Handler, received event: HTTP2Event) {
        let session = handler.session
        switch event {
        case .head(let stream, let fields):
            begin(stream, fields, session)
        case .data(let stream, let bytes):
            append(stream, bytes, session)
        case .endStream(let stream):
            complete(stream, session)
        case .sent(let stream, let bytes):
            requests[stream]?.call?.didSend(bytes)
        case .closed(let stream, let code):
            closed(stream, code)
        case .peerReady, .requestSent, .goAway:
            break
        }
    }

    func http2Tick(_ handler: HTTP2Handler, now: UInt64) {
        let arriving = requests.filter { $0.value.isArriving }
        guard !backlog.isHolding else {
            for request in arriving.values { request.clock.hold(now: now) }
            return
        }
        for (stream, request) in arriving where request.clock.isLate(now: now, sharers: arriving.count) {
            shared.refusals.count(.slow)
            drop(stream, TransportError(.refused, "the body is too slow"))
            handler.session.reset(stream: stream, code: .cancel)
            handler.pump()
        }
    }

    func http2Closed(_ handler: HTTP2Handler, error: HTTP2Error?) {
        if let error {
            shared.logger.debug(
                "connection failed", metadata: ["remote": "\(connection.remoteAddress)", "error": "\(error)"])
        }
        for stream in Array(requests.keys) { drop(stream, TransportError(.unknown, "connection lost")) }
        _ = mailbox.close()
        running = [:]
    }

    // MARK: Requests

    private func begin(_ stream: Int32, _ fields: HTTP2Fields, _ session: HTTP2Session) {
        guard let head = CallHead(fields) else {
            session.reset(stream: stream, code: .protocolError)
            return
        }
        // Streams reset by the peer may leave handlers behind, so those are bounded apart from open streams.
        guard !isDraining, running.count < 2 * shared.limits.http2.maxConcurrentStreams else {
            return refuse(stream, .calls, session)
        }
        place.setBusy()
        let announced = fields.decimal("content-length")
        switch shared.handler.check(head, on: connection) {
        case .answer(let answer):
            requests[stream] = Request(head: head, bodyMax: 0, clock: clock(expecting: 0))
            reject(stream, answer, session)
        case .take(let allowed):
            let bodyMax = min(allowed, shared.limits.maxBodyBytes)
            let request = Request(head: head, bodyMax: bodyMax, clock: clock(expecting: min(announced ?? bodyMax, bodyMax)))
            requests[stream] = request
            if let timeout = head.timeout { expire(stream, request, after: timeout) }
            if let announced, announced > bodyMax { rejectTooLarge(stream, session) }
        }
    }

    private func clock(expecting bytes: Int) -> BodyClock {
        BodyClock(shared.limits.body, expected: bytes, now: eventLoop.now.uptimeNanoseconds)
    }

    private func expire(_ stream: Int32, _ request: Request, after timeout: Duration) {
        let deadline = NIODeadline.after(timeout)
        request.deadline = deadline
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        request.expiry = eventLoop.scheduleTask(deadline: deadline) { bound.value.expire(stream) }
    }

    private func append(_ stream: Int32, _ bytes: ByteBuffer, _ session: HTTP2Session) {
        let size = bytes.readableBytes
        session.creditConnection(bytes: backlog.arrived(size))
        guard let request = requests[stream], request.isArriving else { return }
        guard request.body.readableBytes + size <= request.bodyMax else { return rejectTooLarge(stream, session) }
        let lease = request.lease ?? makeLease(stream)
        request.lease = lease
        // No handler has seen it, so it may be refused even now; the client can repeat it elsewhere or later.
        guard lease.take(size, now: eventLoop.now.uptimeNanoseconds) else { return refuse(stream, .memory, session) }
        session.creditStream(stream, bytes: size)
        request.body.writeImmutableBuffer(bytes)
        request.clock.arrived(size)
    }

    private func makeLease(_ stream: Int32) -> BodyLease {
        let isProven = connection.isProven
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        let eventLoop = eventLoop
        return shared.bodies.lease(in: isProven ? [] : bodies, isProven: isProven, now: eventLoop.now.uptimeNanoseconds) {
            eventLoop.execute { bound.value.evicted(stream) }
        }
    }

    /// Refuses a body whose memory others needed, since it was the slowest.
    private func evicted(_ stream: Int32) {
        guard let handler, requests[stream]?.isArriving == true else { return }
        refuse(stream, .evicted, handler.session)
        handler.pump()
    }

    private func complete(_ stream: Int32, _ session: HTTP2Session) {
        guard let request = requests[stream], request.isArriving else { return }
        guard request.lease?.finish() ?? true else { return refuse(stream, .evicted, session) }
        let size = request.body.readableBytes
        backlog.completed(size)
        running[stream] = size
        let call = ServerCall(
            head: request.head, connection: connection, body: request.body, lease: request.lease, deadline: request.deadline,
            stream: stream, mailbox: mailbox, writeBufferBytes: shared.limits.writeBufferBytes, answers: shared.answers,
            evict: evictAnswer(stream))
        request.call = call
        request.lease = nil
        request.body = ByteBuffer()
        shared.run(call)
    }

    /// A closure that ends a call whose answer is not read.
    private func evictAnswer(_ stream: Int32) -> @Sendable () -> Void {
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        let eventLoop = eventLoop
        return {
            eventLoop.execute {
                let driver = bound.value
                guard driver.requests[stream] != nil, let handler = driver.handler else { return }
                driver.shared.refusals.count(.unread)
                driver.drop(stream, TransportError(.refused, "the answer was not read, and its memory was needed"))
                handler.session.reset(stream: stream, code: .cancel)
                handler.pump()
            }
        }
    }

    /// Refuses a request: nothing was done, so the client may send it again.
    private func refuse(_ stream: Int32, _ reason: WireRefusal, _ session: HTTP2Session) {
        shared.refusals.count(reason)
        drop(stream, TransportError(.refused, "refused"))
        session.reset(stream: stream, code: .refusedStream)
    }

    private func rejectTooLarge(_ stream: Int32, _ session: HTTP2Session) {
        let text = ByteBuffer(string: "the body is over the limit of this path\n")
        reject(stream, EarlyAnswer(status: 413, contentType: "text/plain", body: text, reason: .tooLarge), session)
    }

    /// Answers before the body is whole, and stops the rest of it.
    private func reject(_ stream: Int32, _ answer: EarlyAnswer, _ session: HTTP2Session) {
        guard let request = requests[stream] else { return }
        shared.refusals.count(answer.reason)
        request.lease?.end()
        request.lease = nil
        request.body = ByteBuffer()
        request.isRejected = true
        var fields = HTTP2Fields()
        fields.append(":status", String(answer.status))
        fields.append("content-type", answer.contentType)
        session.submitResponse(stream: stream, fields: fields, endStream: false)
        session.send(stream: stream, data: answer.body)
        session.finish(stream: stream)
        session.resetAfterEnd(stream: stream, code: .noError)
    }

    private func expire(_ stream: Int32) {
        guard let request = requests[stream] else { return }
        if let call = request.call {
            call.cancel(TransportError(.unknown, "deadline passed", isDeadline: true))
        } else if let handler {
            handler.session.reset(stream: stream, code: .cancel)
            handler.pump()
        }
    }

    private func closed(_ stream: Int32, _ code: HTTP2ErrorCode) {
        drop(stream, TransportError(.unknown, "stream reset by peer", resetCode: code))
    }

    private func drop(_ stream: Int32, _ reason: TransportError) {
        guard let request = requests.removeValue(forKey: stream) else { return }
        request.expiry?.cancel()
        request.lease?.end()
        request.call?.cancel(reason)
        request.call?.releaseAnswer()
        markIdle()
    }

    // MARK: Operations of calls

    private func drainMailbox() {
        guard let handler else { return }
        for operation in mailbox.take() { perform(operation, handler.session) }
        handler.pump()
    }

    private func perform(_ operation: ServerOperation, _ session: HTTP2Session) {
        switch operation {
        case .respond(let stream, let fields):
            session.submitResponse(stream: stream, fields: fields, endStream: false)
        case .data(let stream, let bytes):
            session.send(stream: stream, data: bytes)
        case .finish(let stream):
            session.finish(stream: stream)
        case .returned(let stream, let isFinished):
            answered(stream, session)
            if !isFinished, let request = requests[stream] {
                session.reset(stream: stream, code: request.call?.isCancelled == true ? .cancel : .internalError)
            }
        case .shutdown:
            isDraining = true
            session.goAway(code: .noError)
        }
    }

    private func answered(_ stream: Int32, _ session: HTTP2Session) {
        guard let bytes = running.removeValue(forKey: stream) else { return }
        session.creditConnection(bytes: backlog.answered(bytes))
        markIdle()
    }

    private func markIdle() {
        if requests.isEmpty && running.isEmpty { place.setIdle(now: eventLoop.now.uptimeNanoseconds) }
    }
}
