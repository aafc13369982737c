import HTTP2
import NIOCore
import Synchronization

/// One client connection between its HTTP/2 session and its calls. Lives on the connection's event loop.
///
/// The connection's receive window is credited as bytes arrive, and only the stream's as the caller takes them. Were
/// both to wait, a caller that merges several responses could wait for one that others' unread bytes keep out.
final class ClientDriver: HTTP2HandlerDelegate {
    private struct Entry {
        var stream: ClientStream
        var openedAt: NIODeadline
        var expiry: Scheduled<Void>?
        var wasSent = false
        var hasEnded = false
    }

    private let connection: ClientConnection
    private let authority: String
    private let scheme: String
    private let eventLoop: any EventLoop
    private var ready: EventLoopPromise<Void>?
    private var entries: [Int32: Entry] = [:]
    private var lastHeard = NIODeadline.distantPast
    private weak var handler: HTTP2Handler?

    init(
        connection: ClientConnection, authority: String, scheme: String, ready: EventLoopPromise<Void>,
        eventLoop: any EventLoop
    ) {
        self.connection = connection
        self.authority = authority
        self.scheme = scheme
        self.ready = ready
        self.eventLoop = eventLoop
    }

    // MARK: HTTP2HandlerDelegate

    func http2Active(_ handler: HTTP2Handler) {
        self.handler = handler
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        connection.mailbox.open { bound.value.drainMailbox() }
    }

    func http2(_ handler: HTTP2Handler, received event: HTTP2Event) {
        let session = handler.session
        noteHeard(event)
        switch event {
        case .peerReady:
            ready?.succeed(())
            ready = nil
        case .head(let stream, let fields):
            entries[stream]?.stream.received(
                status: fields.decimal(":status") ?? 0, contentType: fields["content-type"], time: fields.decimal(TransportWire.timeHeader))
        case .data(let stream, let bytes):
            session.creditConnection(bytes: bytes.readableBytes)
            entries[stream]?.stream.received(bytes)
        case .endStream(let stream):
            entries[stream]?.stream.ended()
            entries[stream]?.hasEnded = true
            // A server that has answered in full takes no more of the request.
            if !session.isEndSent(stream: stream) { session.reset(stream: stream, code: .cancel) }
        case .requestSent(let stream):
            entries[stream]?.wasSent = true
        case .closed(let stream, let code):
            guard let entry = entries[stream] else { return }
            remove(stream, failure: Self.failure(of: entry, code: code))
        case .goAway:
            connection.becomeUnusable()
        case .sent:
            break
        }
    }

    private func noteHeard(_ event: HTTP2Event) {
        switch event {
        case .requestSent, .sent, .closed: break
        case .peerReady, .head, .data, .endStream, .goAway: lastHeard = eventLoop.now
        }
    }

    func http2Tick(_ handler: HTTP2Handler, now: UInt64) {}

    func http2Closed(_ handler: HTTP2Handler, error: HTTP2Error?) {
        let text = error?.message ?? "connection closed"
        connection.becomeUnusable()
        ready?.fail(TransportError(.refused, text))
        ready = nil
        for (stream, entry) in entries {
            remove(stream, failure: TransportError(entry.wasSent ? .unknown : .refused, text))
        }
        for case .open(let stream) in connection.mailbox.close() {
            refuse(stream, TransportError(.refused, text))
        }
    }

    // MARK: Operations of calls

    private func drainMailbox() {
        guard let handler else { return }
        for operation in connection.mailbox.take() {
            switch operation {
            case .open(let stream):
                open(stream, handler.session)
            case .credit(let stream, let bytes):
                handler.session.creditStream(stream, bytes: bytes)
            case .cancel(let stream):
                reset(stream.number.load(ordering: .relaxed), handler.session)
            case .shutdown:
                connection.becomeUnusable()
                handler.session.goAway(code: .noError)
            }
        }
        handler.pump()
    }

    private func open(_ stream: ClientStream, _ session: HTTP2Session) {
        let left = stream.deadline.millisecondsLeft
        guard left > 0 else {
            refuse(stream, TransportError(.refused, "deadline passed before sending", isDeadline: true))
            return
        }
        guard !stream.isOver else {
            connection.load.subtract(1, ordering: .relaxed)
            return
        }
        guard connection.isUsable, let number = session.submitRequest(fields(stream, left: left), hasBody: true) else {
            connection.becomeUnusable()
            refuse(stream, TransportError(.refused, "connection takes no new calls"))
            return
        }
        session.send(stream: number, data: stream.body)
        session.finish(stream: number)
        stream.number.store(number, ordering: .relaxed)
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        let expiry = eventLoop.scheduleTask(deadline: stream.deadline) { bound.value.expire(number) }
        entries[number] = Entry(stream: stream, openedAt: eventLoop.now, expiry: expiry)
    }

    private func fields(_ stream: ClientStream, left: Int64) -> HTTP2Fields {
        var fields = HTTP2Fields()
        fields.append(":method", "POST")
        fields.append(":scheme", scheme)
        fields.append(":authority", authority)
        fields.append(":path", stream.path)
        fields.append("content-type", TransportWire.contentType)
        fields.append("\(TransportWire.timeoutHeader)", String(left))
        if let authorization = stream.authorization { fields.append("authorization", authorization) }
        if let trace = stream.trace { fields.append("\(TransportWire.traceHeader)", trace) }
        return fields
    }

    private func expire(_ number: Int32) {
        guard let entry = entries[number], let handler else { return }
        let outcome: TransportError.Outcome = entry.wasSent ? .unknown : .refused
        entry.stream.fail(TransportError(outcome, "deadline passed", isDeadline: true))
        reset(number, handler.session)
        if lastHeard < entry.openedAt {
            // Nothing at all was heard during the whole call: the peer may be unreachable, which TCP would notice only
            // after many minutes. Later calls get another connection; those running here may still finish.
            connection.becomeUnusable()
            handler.session.goAway(code: .noError)
        }
        handler.pump()
    }

    /// The entry stays until the session reports the close.
    private func reset(_ number: Int32, _ session: HTTP2Session) {
        guard entries[number] != nil else { return }
        session.reset(stream: number, code: .cancel)
    }

    private func remove(_ number: Int32, failure: TransportError) {
        guard let entry = entries.removeValue(forKey: number) else { return }
        entry.expiry?.cancel()
        connection.load.subtract(1, ordering: .relaxed)
        if !entry.hasEnded { entry.stream.fail(failure) }
    }

    private func refuse(_ stream: ClientStream, _ failure: TransportError) {
        connection.load.subtract(1, ordering: .relaxed)
        stream.fail(failure)
    }

    private static func failure(of entry: Entry, code: HTTP2ErrorCode) -> TransportError {
        if code == .refusedStream {
            return TransportError(.refused, "stream refused by peer", resetCode: code)
        }
        let outcome: TransportError.Outcome = entry.wasSent ? .unknown : .refused
        // A server gives up with CANCEL when the time we gave it has run out; its clock may strike before ours.
        return TransportError(
            outcome, "stream reset with code \(code.rawValue)", isDeadline: code == .cancel, resetCode: code)
    }
}
