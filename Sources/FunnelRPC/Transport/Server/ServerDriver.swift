import FunnelHTTP2
import Logging
import NIOCore
import Synchronization

/// One server connection between its HTTP/2 session and its calls. Lives on the connection's event loop.
final class ServerDriver: HTTP2HandlerDelegate {
    /// A request that is arriving or being answered. A class, so that its body has one owner and grows in place.
    private final class Request {
        let head: CallHead
        var deadline: NIODeadline?
        var body = ByteBuffer()
        var call: ServerCall?
        var expiry: Scheduled<Void>?
        var lastProgress: UInt64
        /// Answered before it was complete: what still arrives is dropped.
        var isRejected = false

        init(head: CallHead, now: NIODeadline) {
            self.head = head
            lastProgress = now.uptimeNanoseconds
        }
    }

    private let shared: ServerShared
    private let connection: ServerConnection
    private let mailbox: TransportMailbox<ServerOperation>
    private let eventLoop: any EventLoop
    private var requests: [Int32: Request] = [:]
    /// Body bytes of each handler that still runs; outlives the stream.
    private var running: [Int32: Int] = [:]
    private var backlog: ServerBacklog
    private var isDraining = false
    private weak var handler: HTTP2Handler?

    init(
        shared: ServerShared, connection: ServerConnection, mailbox: TransportMailbox<ServerOperation>,
        eventLoop: any EventLoop
    ) {
        self.shared = shared
        self.connection = connection
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
        guard !backlog.isHolding else {
            for request in requests.values { request.lastProgress = now }
            return
        }
        let limit = UInt64(shared.limits.bodyStallTimeout.boundedNanoseconds)
        for (stream, request) in requests where request.call == nil && now >= request.lastProgress + limit {
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
        for operation in mailbox.close() { settle(operation) }
        // Handlers that still run hold their bodies; their tasks settle with the server, as this mailbox is closed.
        running = [:]
    }

    // MARK: Requests

    private func begin(_ stream: Int32, _ fields: HTTP2Fields, _ session: HTTP2Session) {
        guard let head = CallHead(fields) else {
            session.reset(stream: stream, code: .protocolError)
            return
        }
        // Streams reset by the peer may leave handlers behind, so those are bounded apart from open streams.
        guard !isDraining, running.count < 2 * shared.limits.http2.maxConcurrentStreams,
            shared.bodyBytes.load(ordering: .relaxed) <= shared.limits.maxGlobalBodyBytes
        else {
            shared.countRefused()
            session.reset(stream: stream, code: .refusedStream)
            return
        }
        let request = Request(head: head, now: eventLoop.now)
        if let timeout = head.timeout {
            let deadline = NIODeadline.after(timeout)
            request.deadline = deadline
            let bound = NIOLoopBound(self, eventLoop: eventLoop)
            request.expiry = eventLoop.scheduleTask(deadline: deadline) { bound.value.expire(stream) }
        }
        requests[stream] = request
        if let announced = fields.decimal("content-length"), announced > shared.limits.maxBodyBytes {
            reject(stream, request, session)
        }
    }

    private func append(_ stream: Int32, _ bytes: ByteBuffer, _ session: HTTP2Session) {
        let size = bytes.readableBytes
        session.creditConnection(bytes: backlog.arrived(size))
        guard let request = requests[stream], !request.isRejected, request.call == nil else { return }
        guard request.body.readableBytes + size <= shared.limits.maxBodyBytes else {
            reject(stream, request, session)
            return
        }
        guard shared.bodyBytes.load(ordering: .relaxed) + size <= globalBytesMax else {
            // No handler has seen it, so it may be refused even now; the client can repeat it elsewhere or later.
            shared.countRefused()
            drop(stream, TransportError(.refused, "server holds too many request bytes"))
            session.reset(stream: stream, code: .refusedStream)
            return
        }
        session.creditStream(stream, bytes: size)
        request.body.writeImmutableBuffer(bytes)
        request.lastProgress = eventLoop.now.uptimeNanoseconds
        shared.hold(size)
    }

    /// Above the limit no streams begin; a quarter more is left for those that had begun to end.
    private var globalBytesMax: Int {
        shared.limits.maxGlobalBodyBytes + shared.limits.maxGlobalBodyBytes / 4
    }

    private func complete(_ stream: Int32, _ session: HTTP2Session) {
        guard let request = requests[stream], !request.isRejected, request.call == nil else { return }
        let size = request.body.readableBytes
        backlog.completed(size)
        running[stream] = size
        let call = ServerCall(
            head: request.head, connection: connection, body: request.body, deadline: request.deadline,
            stream: stream, mailbox: mailbox, writeBufferBytes: shared.limits.writeBufferBytes
        )
        request.call = call
        request.body = ByteBuffer()
        shared.run(call)
    }

    /// Too large: says so, and stops the rest of the body.
    private func reject(_ stream: Int32, _ request: Request, _ session: HTTP2Session) {
        shared.countRefused()
        shared.release(request.body.readableBytes)
        request.body = ByteBuffer()
        request.isRejected = true
        var fields = HTTP2Fields()
        fields.append(":status", "413")
        session.submitResponse(stream: stream, fields: fields, endStream: true)
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
        shared.release(request.body.readableBytes)
        request.call?.cancel(reason)
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
        shared.release(bytes)
        session.creditConnection(bytes: backlog.answered(bytes))
    }

    /// After the end only the accounts matter.
    private func settle(_ operation: ServerOperation) {
        guard case .returned(let stream, _) = operation, let bytes = running.removeValue(forKey: stream) else { return }
        shared.release(bytes)
    }
}
