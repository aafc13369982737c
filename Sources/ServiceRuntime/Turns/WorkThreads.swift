import NIOPosix
import Synchronization

/// Threads for work on one call that takes long: done where all calls are, it would hold up those of others. Projects take
/// turns. Memory that the work alone holds is freed there too (see `Handover`).
package final class WorkThreads: Sendable {
    private static let count = 2
    private let pool = NIOThreadPool(numberOfThreads: count)
    private let state = Mutex((turns: ProjectTurns(places: count, begunMax: count), next: UInt64(0)))

    package init() { pool.start() }

    package func shutdown() async { try? await pool.shutdownGracefully() }

    package func run<T: Sendable>(_ project: UInt32, _ body: @escaping @Sendable () throws -> T) async throws -> T {
        let ticket = state.withLock { state in
            state.next += 1
            return state.next
        }
        await withCheckedContinuation { turn in
            change { $0.enter(.init(ticket: ticket, project: project, isHeavy: false, since: .now) { turn.resume() }) }
        }
        defer { change { $0.leave(ticket, .now) } }
        return try await pool.runIfActive(body)
    }

    /// The same where the work is long, and at once where it is not.
    package func run<T: Sendable>(_ project: UInt32, isLong: Bool, _ body: @escaping @Sendable () throws -> T) async throws -> T {
        isLong ? try await run(project, body) : try body()
    }

    private func change(_ body: (inout ProjectTurns) -> [ProjectTurns.Work]) {
        for work in state.withLock({ body(&$0.turns) }) { work.wake() }
    }
}

/// Gives a value to work on another thread, which is then the last to hold it: to free hundreds of thousands of strings takes
/// as long as to add them up.
package final class Handover<T: Sendable>: Sendable {
    private let value: Mutex<T?>

    package init(_ value: consuming T) { self.value = Mutex(consume value) }

    /// - Precondition: called once.
    package func take() -> T {
        let value = value.withLock { $0.take() }
        guard let value else { preconditionFailure("taken twice") }
        return value
    }
}
