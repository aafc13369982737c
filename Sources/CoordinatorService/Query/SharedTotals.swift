import FunnelModel
import Synchronization

/// What the shards have of a project, asked at most once a second however many want to know. A shard that hangs costs all of
/// them together its deadline.
final class SharedTotals: Sendable {
    private struct Asked {
        var task: Task<[QueryEngine.ShardTotals], Never>
        /// Nil while the shards are asked.
        var answered: ContinuousClock.Instant?
        /// Of all shards that answered, when they last did.
        var rows: Int?
    }

    /// An answer is good for so long.
    private static let age = Duration.seconds(1)
    /// A number of rows, for an estimate.
    private static let roughAge = Duration.seconds(30)
    private static let projectsMax = 1_000

    private let asked = Mutex<[UInt32: Asked]>([:])
    private let ask: @Sendable (UInt32) async -> [QueryEngine.ShardTotals]

    init(_ ask: @escaping @Sendable (UInt32) async -> [QueryEngine.ShardTotals]) { self.ask = ask }

    func totals(project: UInt32) async -> [QueryEngine.ShardTotals] { await task(project, Self.age).value }

    /// Rows of the project on all shards, as last heard; nil where that is not known yet. Waits for nothing.
    func roughRows(project: UInt32) -> Int? {
        _ = task(project, Self.roughAge)
        return asked.withLock { $0[project]?.rows }
    }

    private func task(_ project: UInt32, _ age: Duration) -> Task<[QueryEngine.ShardTotals], Never> {
        asked.withLock { asked in
            let known = asked[project]
            if let known, known.answered.map({ .now - $0 < age }) ?? true { return known.task }
            if known == nil, asked.count >= Self.projectsMax { asked = asked.filter { $0.value.answered == nil } }
            let task = Task {
                let totals = await self.ask(project)
                let rows = totals.compactMap(\.totals).reduce(0) { $0 + Int($1.rows) }
                self.asked.withLock { asked in
                    asked[project]?.answered = .now
                    if rows > 0 { asked[project]?.rows = rows }
                }
                return totals
            }
            asked[project] = Asked(task: task, answered: nil, rows: known?.rows)
            return task
        }
    }
}
