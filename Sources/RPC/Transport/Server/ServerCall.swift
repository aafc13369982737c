import HTTP2
import NIOCore
import Synchronization

/// What a call asks of its connection's event loop.
enum ServerOperation: Sendable {
    case respond(stream: Int32, fields: HTTP2Fields)
    case data(stream: Int32, bytes: ByteBuffer)
    case finish(stream: Int32)
    /// The handler has returned; its request body is free.
    case returned(stream: Int32, isFinished: Bool)
    case shutdown
}

/// One request with its whole body, and the way to answer it. Usable from any thread; one task should write.
package final class ServerCall: Sendable {
    private enum Phase { case open, responded, finished }

    private struct State {
        var phase = Phase.open
        var buffered = 0
        var failure: TransportError?
        var writers: [CheckedContinuation<Void, Never>] = []
        var cancelActions: [@Sendable () -> Void] = []
        var task: Task<Void, Never>?
        /// Bytes written and sent since the answer's head.
        var written = 0
        var sent = 0
        /// Parts of the answer that are counted and not sent whole, oldest first; `end` in bytes written.
        var counted: [(end: Int, bytes: Int)] = []
        /// The ticket of their memory.
        var ticket: UInt64?

        mutating func takeWriters() -> [CheckedContinuation<Void, Never>] {
            defer { writers = [] }
            return writers
        }
    }

    /// The request's head.
    package let head: CallHead
    /// Where it came from.
    package let connection: ServerConnection
    /// The whole request body.
    package let body: ByteBuffer
    /// When the caller stops waiting.
    package let deadline: NIODeadline?

    let stream: Int32
    /// The memory of the body; nil if there is none.
    private let lease: BodyLease?
    private let mailbox: TransportMailbox<ServerOperation>
    private let writeBufferBytes: Int
    private let answers: AnswerBudget
    private let evict: @Sendable () -> Void
    private let cancelled = Atomic<Bool>(false)
    private let state = Mutex(State())

    init(
        head: CallHead, connection: ServerConnection, body: ByteBuffer, lease: BodyLease?, deadline: NIODeadline?, stream: Int32,
        mailbox: TransportMailbox<ServerOperation>, writeBufferBytes: Int, answers: AnswerBudget, evict: @escaping @Sendable () -> Void
    ) {
        self.head = head
        self.connection = connection
        self.body = body
        self.lease = lease
        self.deadline = deadline
        self.stream = stream
        self.mailbox = mailbox
        self.writeBufferBytes = writeBufferBytes
        self.answers = answers
        self.evict = evict
    }

    /// Nobody waits for the answer any more. One atomic load: scan loops may ask per block.
    package var isCancelled: Bool { cancelled.load(ordering: .acquiring) }

    /// Runs once when the call is cancelled; at once if it already is. Must not block.
    package func onCancel(_ body: @escaping @Sendable () -> Void) {
        let isLate = state.withLock { state in
            if state.failure != nil { return true }
            if state.phase != .finished { state.cancelActions.append(body) }
            return false
        }
        if isLate { body() }
    }

    /// Sends the response head.
    /// - Parameter tellsTime: whether to send the time of this machine's clock.
    package func respond(status: Int, contentType: String, tellsTime: Bool = false) async throws {
        try state.withLock { state in
            if let failure = state.failure { throw failure }
            guard state.phase == .open else { throw TransportError(.failed, "answered twice") }
            state.phase = .responded
        }
        var fields = HTTP2Fields()
        fields.append(":status", String(status))
        fields.append("content-type", contentType)
        if tellsTime { fields.append("\(TransportWire.timeHeader)", String(wallMilliseconds())) }
        try post(.respond(stream: stream, fields: fields))
    }

    /// Sends body bytes; suspends while the peer does not take them and the buffer is full.
    package func write(_ buffer: ByteBuffer) async throws {
        let size = buffer.readableBytes
        let isOver = try state.withLock { state in
            if let failure = state.failure { throw failure }
            guard state.phase == .responded else { throw TransportError(.failed, "write outside of a response") }
            state.buffered += size
            state.written += size
            return state.buffered > writeBufferBytes
        }
        guard size > 0 else { return }
        if size >= AnswerBudget.shortBytes {
            // Buffers are larger than what they hold.
            let held = buffer.capacity
            let ticket = answers.take(held, ticket: state.withLock { $0.ticket }, evict: evict)
            state.withLock { state in
                state.ticket = ticket
                state.counted.append((state.written, held))
            }
        }
        try post(.data(stream: stream, bytes: buffer))
        if isOver { try await waitUntilDrained() }
    }

    /// Ends the response. What is buffered still goes out.
    package func finish() async throws {
        try state.withLock { state in
            if let failure = state.failure { throw failure }
            guard state.phase == .responded else { throw TransportError(.failed, "finish outside of a response") }
            state.phase = .finished
            state.cancelActions = []
        }
        try post(.finish(stream: stream))
    }

    // MARK: For the connection

    func run(_ task: Task<Void, Never>) {
        let isLate = state.withLock { state in
            state.task = task
            return state.failure != nil
        }
        if isLate { task.cancel() }
    }

    func handlerReturned() {
        lease?.end()
        let isFinished = state.withLock { state in
            state.task = nil
            state.cancelActions = []
            return state.phase == .finished
        }
        mailbox.post(.returned(stream: stream, isFinished: isFinished))
    }

    /// Call when the stream is over: releases the memory of the answer.
    func releaseAnswer() {
        if let ticket = state.withLock({ $0.ticket }) { answers.release(ticket) }
    }

    func didSend(_ bytes: Int) {
        let (writers, ticket, gone) = state.withLock { state in
            state.buffered -= bytes
            state.sent += bytes
            // A part is held whole until its last byte is out.
            var gone = 0
            while let part = state.counted.first, part.end <= state.sent {
                state.counted.removeFirst()
                gone += part.bytes
            }
            return (state.buffered <= writeBufferBytes / 2 ? state.takeWriters() : [], state.ticket, gone)
        }
        if gone > 0, let ticket { answers.giveBack(gone, of: ticket) }
        for writer in writers { writer.resume() }
    }

    /// Ends the call from outside. After `finish` it only resumes waiting writers.
    func cancel(_ failure: TransportError) {
        typealias Released = ([CheckedContinuation<Void, Never>], [@Sendable () -> Void], Task<Void, Never>?)
        let (writers, actions, task) = state.withLock { state -> Released in
            guard state.phase != .finished else { return (state.takeWriters(), [], nil) }
            if state.failure == nil { state.failure = failure }
            cancelled.store(true, ordering: .releasing)
            let actions = state.cancelActions
            state.cancelActions = []
            return (state.takeWriters(), actions, state.task)
        }
        for writer in writers { writer.resume() }
        for action in actions { action() }
        task?.cancel()
    }

    // MARK: Private

    private func post(_ operation: ServerOperation) throws {
        if !mailbox.post(operation) { throw TransportError(.unknown, "connection closed") }
    }

    private func waitUntilDrained() async throws {
        while true {
            let isDrained = try state.withLock { state in
                if let failure = state.failure { throw failure }
                return state.buffered <= writeBufferBytes / 2
            }
            if isDrained { return }
            try Task.checkCancellation()
            await withTaskCancellationHandler {
                await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
                    let mustWait = state.withLock { state in
                        let wait =
                            state.failure == nil && state.buffered > writeBufferBytes / 2 && !Task.isCancelled
                        if wait { state.writers.append(continuation) }
                        return wait
                    }
                    if !mustWait { continuation.resume() }
                }
            } onCancel: {
                let writers = state.withLock { $0.takeWriters() }
                for writer in writers { writer.resume() }
            }
        }
    }
}
