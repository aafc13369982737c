import Dispatch
import Synchronization

/// Holds up the threads that come to it until the test lets them on. It begins open.
final class Latch: Sendable {
    private let semaphore = DispatchSemaphore(value: 0)
    private let state = Mutex((isShut: false, arrived: 0, waiting: 0))

    /// Threads that came since it was shut.
    var arrived: Int { state.withLock { $0.arrived } }

    func shut() { state.withLock { $0 = (true, 0, 0) } }

    /// Waits where the latch is shut.
    func pass() {
        let isShut = state.withLock { state in
            state.arrived += 1
            state.waiting += state.isShut ? 1 : 0
            return state.isShut
        }
        if isShut { semaphore.wait() }
    }

    func open() {
        let waiting = state.withLock { state in
            defer { (state.isShut, state.waiting) = (false, 0) }
            return state.waiting
        }
        for _ in 0..<waiting { semaphore.signal() }
    }
}
