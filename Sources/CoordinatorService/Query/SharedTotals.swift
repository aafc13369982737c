import FunnelModel
import RPC
import Synchronization

/// A cache of projects' totals: the shards are asked at most once a second for all callers. A shard that hangs delays all callers
/// together by one deadline.
final class SharedTotals: Sendable {
    private struct Asked {
        var task: Task<[QueryEngine.ShardTotals], Never>
        /// Nil while the shards are asked.
        var answered: ContinuousClock.Instant?
        /// Rows on all shards that answered, as of the last answer.
        var rows: Int?
    }

    /// How long an answer is used.
    private static let age = Duration.seconds(1)
    /// How long the number of rows is used for an estimate.
    private static let roughAge = Duration.seconds(30)
    private static let projectsMax = 1_000

    private let asked = Mutex<[UInt32: Asked]>([:])
    private let ask: @Sendable (UInt32) async -> [QueryEngine.ShardTotals]

    init(_ ask: @escaping @Sendable (UInt32) async -> [QueryEngine.ShardTotals]) { self.ask = ask }

    func totals(project: UInt32) async -> [QueryEngine.ShardTotals] { await task(project, Self.age).value }

    /// Rows of the project on all shards, as of the last answer; nil if not known yet. Does not wait, but may start a new question.
    func roughRows(project: UInt32) -> Int? {
        _ = task(project, Self.roughAge)
        return asked.withLock { $0[project]?.rows }
    }

    private func task(_ project: UInt32, _ age: Duration) -> Task<[QueryEngine.ShardTotals], Never> {
        asked.withLock { asked in
            let known = asked[project]
            if let known, known.answered.map({ .now - $0 < age }) ?? true { return known.task }
            if known == nil, asked.count >= Self.projectsMax { asked = asked.filter { $0.value.answered == nil } }
            let task = TraceParent.none {
                Task {
                    let totals = await self.ask(project)
                    let rows = totals.compactMap(\.totals).reduce(0) { $0 + Int($1.rows) }
                    self.asked.withLock { asked in
                        asked[project]?.answered = .now
                        if rows > 0 { asked[project]?.rows = rows }
                    }
                    return totals
                }
            }
            asked[project] = Asked(task: task, answered: nil, rows: known?.rows)
            return task
        }
    }
}
