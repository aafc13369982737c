import FunnelRuntime
import NIOPosix
import Synchronization

/// Threads that decompress and read large bodies, so that these hold up nobody else's calls. Projects take turns.
final class ParseThreads: Sendable {
    private static let count = 2
    private let pool = NIOThreadPool(numberOfThreads: count)
    private let state = Mutex((turns: ProjectTurns(places: count, begunMax: count), next: UInt64(0)))

    init() { pool.start() }

    func shutdown() async { try? await pool.shutdownGracefully() }

    func run<T: Sendable>(_ project: UInt32, _ body: @escaping @Sendable () throws -> T) async throws -> T {
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

    private func change(_ body: (inout ProjectTurns) -> [ProjectTurns.Work]) {
        for work in state.withLock({ body(&$0.turns) }) { work.wake() }
    }
}
