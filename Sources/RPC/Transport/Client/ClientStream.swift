import HTTP2
import NIOCore
import Synchronization

/// What a call asks of its connection's event loop.
enum ClientOperation: Sendable {
    case open(ClientStream)
    case credit(stream: Int32, bytes: Int)
    case cancel(ClientStream)
    case shutdown
}

/// One call on the client's side: filled by the event loop, emptied by the caller's task.
final class ClientStream: Sendable {
    private struct State {
        var status: Int?
        var contentType: String?
        var time: Int?
        var chunks = CircularBuffer<ByteBuffer>()
        var hasEnded = false
        var failure: TransportError?
        var reader: CheckedContinuation<Void, Never>?
        /// Counts changes, so that a reader going to sleep notices one it has missed.
        var version = 0

        mutating func takeReader() -> CheckedContinuation<Void, Never>? {
            defer { reader = nil }
            return reader
        }
    }

    /// Chunks below this are joined: each would otherwise keep a whole read buffer alive.
    private static let joinBelow = 4096

    let path: String
    let authorization: String?
    /// The header `traceparent`.
    let trace: String?
    let body: ByteBuffer
    let deadline: NIODeadline
    /// The stream's number, 0 until it was opened; written by the event loop.
    let number = Atomic<Int32>(0)
    private let mailbox: TransportMailbox<ClientOperation>
    private let state = Mutex(State())

    init(
        path: String, authorization: String?, trace: String?, body: ByteBuffer, deadline: NIODeadline,
        mailbox: TransportMailbox<ClientOperation>
    ) {
        self.path = path
        self.authorization = authorization
        self.trace = trace
        self.body = body
        self.deadline = deadline
        self.mailbox = mailbox
    }

    // MARK: The caller

    func head() async throws -> (status: Int, contentType: String?, time: Int?) {
        try await wait { state in
            if let status = state.status { return (status, state.contentType, state.time) }
            if let failure = state.failure { throw failure }
            return nil
        }
    }

    func next() async throws -> ByteBuffer? {
        let chunk: ByteBuffer? = try await wait { state -> ByteBuffer?? in
            if let failure = state.failure { throw failure }
            if let chunk = state.chunks.popFirst() { return .some(chunk) }
            return state.hasEnded ? .some(nil) : nil
        }
        if let chunk {
            mailbox.post(.credit(stream: number.load(ordering: .relaxed), bytes: chunk.readableBytes))
        }
        return chunk
    }

    /// Gives the call up; a no-op after its end.
    func cancel() {
        let mustReset = state.withLock { state in
            state.chunks.removeAll()
            return !state.hasEnded && state.failure == nil
        }
        guard mustReset else { return }
        fail(TransportError(.unknown, "cancelled", isCancellation: true))
        mailbox.post(.cancel(self))
    }

    /// Whether the call has ended or failed.
    var isOver: Bool { state.withLock { $0.hasEnded || $0.failure != nil } }

    // MARK: The event loop

    func received(status: Int, contentType: String?, time: Int?) {
        update { state in
            guard state.status == nil else { return }
            state.status = status
            state.contentType = contentType
            state.time = time
        }
    }

    func received(_ chunk: ByteBuffer) {
        update { state in
            guard state.failure == nil else { return }
            if chunk.readableBytes < Self.joinBelow {
                var joined =
                    state.chunks.last.map { $0.readableBytes < Self.joinBelow } == true
                    ? state.chunks.removeLast() : ByteBuffer()
                joined.writeImmutableBuffer(chunk)
                state.chunks.append(joined)
            } else {
                state.chunks.append(chunk)
            }
        }
    }

    func ended() {
        update { $0.hasEnded = true }
    }

    func fail(_ failure: TransportError) {
        update { state in
            guard !state.hasEnded, state.failure == nil else { return }
            state.failure = failure
            state.chunks.removeAll()
        }
    }

    // MARK: Private

    private func update(_ change: (inout State) -> Void) {
        let reader = state.withLock { state in
            change(&state)
            state.version += 1
            return state.takeReader()
        }
        reader?.resume()
    }

    /// Waits until `poll` has an answer. One caller at a time.
    private func wait<T: Sendable>(until poll: (inout State) throws -> T?) async throws -> T {
        while true {
            let (result, version) = try state.withLock { state in (try poll(&state), state.version) }
            if let result { return result }
            await withTaskCancellationHandler {
                await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
                    let wakeNow = state.withLock { state -> CheckedContinuation<Void, Never>? in
                        if state.version != version { return continuation }
                        defer { state.reader = continuation }
                        return state.takeReader()
                    }
                    wakeNow?.resume()
                }
            } onCancel: {
                cancel()
            }
        }
    }
}
