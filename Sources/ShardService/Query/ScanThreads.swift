import Dispatch
import NIOPosix
import ServiceRuntime
import Synchronization

/// Threads for scans of one kind, light or heavy. A scan that has begun keeps its thread, but a limited number runs at a time
/// (`ProjectTurns`); the others are paused where they last asked whether they are cancelled.
final class ScanThreads: Sendable {
    private struct State {
        var turns: ProjectTurns
        /// Threads of `usual` that are free.
        var usualFree: Int
    }

    /// As many threads as scans run at a time. They do nearly all the work: a few threads keep less freed memory than many.
    private let usual: NIOThreadPool
    /// For scans that begin while others are paused.
    private let more: NIOThreadPool
    private let state: Mutex<State>
    /// Scans in the queue; read without the lock.
    private let waiting = Atomic<Int>(0)
    private let isBackground: Bool
    private let now: @Sendable () -> ContinuousClock.Instant

    /// - Parameters:
    ///   - count: max number of scans that run at a time.
    ///   - isBackground: whether the scans leave the processors to other work of the machine.
    init(_ count: Int, isBackground: Bool, now: @escaping @Sendable () -> ContinuousClock.Instant) {
        // Paused scans of several projects may hold a thread each.
        let begun = max(32, count * 8)
        usual = NIOThreadPool(numberOfThreads: count)
        more = NIOThreadPool(numberOfThreads: begun - count)
        state = Mutex(State(turns: ProjectTurns(places: count, begunMax: begun), usualFree: count))
        self.isBackground = isBackground
        self.now = now
        usual.start()
        more.start()
    }

    /// Waits for the scans that have begun.
    func shutdown() async {
        try? await usual.shutdownGracefully()
        try? await more.shutdownGracefully()
    }

    /// Calls `body` on a thread once it is the scan's turn; with false if that is after `shutdown`.
    func enter(_ ticket: UInt64, _ project: UInt32, _ body: @escaping @Sendable (_ isActive: Bool) -> Void) {
        let scan = ProjectTurns.Work(ticket: ticket, project: project, since: now()) { [self] in
            let isUsual = state.withLock { state in
                if state.usualFree == 0 { return false }
                state.usualFree -= 1
                return true
            }
            (isUsual ? usual : more).submit { [self] found in
                if isBackground { ThreadPriority.lower() }
                body(found == .active)
                if isUsual { state.withLock { $0.usualFree += 1 } }
                change { $0.leave(ticket, now()) }
            }
        }
        change { $0.enter(scan) }
    }

    /// Removes a scan from the queue; false if it is not in it.
    func withdraw(_ ticket: UInt64) -> Bool {
        state.withLock { state in
            let isWaiting = state.turns.withdraw(ticket) != nil
            waiting.store(state.turns.waiting.count, ordering: .relaxed)
            return isWaiting
        }
    }

    /// Blocks a scan while it is the turn of others.
    /// - Returns: whether the scan was cancelled meanwhile.
    func giveWay(_ ticket: UInt64, _ isCancelled: () -> Bool) -> Bool {
        guard waiting.load(ordering: .relaxed) > 0, state.withLock({ $0.turns.shouldGiveWay(ticket, now()) }) else { return false }
        let turn = DispatchSemaphore(value: 0)
        change { $0.giveWay(ticket, now()) { turn.signal() } }
        while turn.wait(timeout: .now() + .milliseconds(50)) == .timedOut {
            // A scan that ends needs no turn.
            if isCancelled(), withdraw(ticket) { return true }
        }
        return isCancelled()
    }

    private func change(_ body: (inout ProjectTurns) -> [ProjectTurns.Work]) {
        let woken = state.withLock { state in
            defer { waiting.store(state.turns.waiting.count, ordering: .relaxed) }
            return body(&state.turns)
        }
        for scan in woken { scan.wake() }
    }
}
