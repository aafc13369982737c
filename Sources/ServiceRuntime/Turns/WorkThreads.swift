import NIOPosix
import Synchronization

/// Threads for long work on one call, which would delay other calls on their threads. Projects take turns. Memory that only the
/// work holds is freed here too; see `Handover`.
package final class WorkThreads: Sendable {
    private static let count = 2
    private let pool = NIOThreadPool(numberOfThreads: count)
    private let state = Mutex((turns: ProjectTurns(places: count, begunMax: count), next: UInt64(0)))
    private let isBackground: Bool

    /// - Parameter isBackground: whether the work leaves the processors to other work of the machine.
    package init(isBackground: Bool) {
        self.isBackground = isBackground
        pool.start()
    }

    /// How much work runs and waits now.
    package var load: (running: Int, waiting: Int) { state.withLock { ($0.turns.running.count, $0.turns.waiting.count) } }

    /// Waits for the work that runs; work that waits fails.
    package func shutdown() async { try? await pool.shutdownGracefully() }

    /// Runs `body` on one of the threads, once it is the project's turn. Throws what `body` throws, and an error after `shutdown`.
    package func run<T: Sendable>(_ project: UInt32, _ body: @escaping @Sendable () throws -> T) async throws -> T {
        let ticket = state.withLock { state in
            state.next += 1
            return state.next
        }
        await withCheckedContinuation { turn in
            change { $0.enter(.init(ticket: ticket, project: project, since: .now) { turn.resume() }) }
        }
        defer { change { $0.leave(ticket, .now) } }
        return try await pool.runIfActive { [isBackground] in
            if isBackground { ThreadPriority.lower() }
            return try body()
        }
    }

    /// Runs `body` on one of the threads if it is long, otherwise at once on the caller's thread.
    package func run<T: Sendable>(_ project: UInt32, isLong: Bool, _ body: @escaping @Sendable () throws -> T) async throws -> T {
        isLong ? try await run(project, body) : try body()
    }

    private func change(_ body: (inout ProjectTurns) -> [ProjectTurns.Work]) {
        for work in state.withLock({ body(&$0.turns) }) { work.wake() }
    }
}

/// Passes a value to work on another thread, which then holds the last reference and frees it: freeing hundreds of thousands of
/// strings takes as long as merging them.
package final class Handover<T: Sendable>: Sendable {
    private let value: Mutex<T?>

    package init(_ value: consuming T) { self.value = Mutex(consume value) }

    /// Returns the value and gives up the reference; traps if it is called twice.
    package func take() -> T {
        let value = value.withLock { $0.take() }
        guard let value else { preconditionFailure("taken twice") }
        return value
    }
}
