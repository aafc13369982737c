import NIOCore
import Synchronization

/// Hands operations from any thread to a connection's event loop, with one wake-up per batch.
final class TransportMailbox<Operation: Sendable>: Sendable {
    private struct State {
        var operations: [Operation] = []
        var drain: (@Sendable () -> Void)?
        var isClosed = false
    }

    private let eventLoop: any EventLoop
    private let state = Mutex(State())

    init(eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
    }

    /// Names the receiver: called on the event loop, it takes the operations by `take`.
    func open(drain: @escaping @Sendable () -> Void) {
        let hasWaiting = state.withLock { state in
            state.drain = drain
            return !state.operations.isEmpty
        }
        if hasWaiting { eventLoop.execute(drain) }
    }

    /// False if the connection is gone; the operation is dropped then.
    @discardableResult
    func post(_ operation: Operation) -> Bool {
        let (accepted, drain) = state.withLock { state -> (Bool, (@Sendable () -> Void)?) in
            if state.isClosed { return (false, nil) }
            state.operations.append(operation)
            return (true, state.operations.count == 1 ? state.drain : nil)
        }
        if let drain { eventLoop.execute(drain) }
        return accepted
    }

    func take() -> [Operation] {
        state.withLock { state in
            let taken = state.operations
            state.operations.removeAll(keepingCapacity: taken.count <= 64)
            return taken
        }
    }

    /// Refuses further operations, lets go of the receiver, and returns what was still waiting.
    func close() -> [Operation] {
        state.withLock { state in
            let taken = state.operations
            state = State(isClosed: true)
            return taken
        }
    }
}
