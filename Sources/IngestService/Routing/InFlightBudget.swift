import Synchronization

/// Bytes on their way to shards. One shard may hold at most half, so that a slow one can't stop the others.
final class InFlightBudget: Sendable {
    private let state: Mutex<(total: Int, byShard: [Int])>
    private let totalMax: Int

    init(bytes: Int, shards: Int) {
        totalMax = bytes
        state = Mutex((0, Array(repeating: 0, count: shards)))
    }

    var total: Int { state.withLock { $0.total } }

    /// All or nothing; names the shard that has its half, or nil with `false` where the whole is spent.
    func reserve(_ bytes: [Int: Int]) -> (granted: Bool, shard: Int?) {
        state.withLock { state in
            let sum = bytes.values.reduce(0, +)
            for (shard, amount) in bytes where state.byShard[shard] > 0 && state.byShard[shard] + amount > totalMax / 2 {
                return (false, shard)
            }
            guard state.total == 0 || state.total + sum <= totalMax else { return (false, nil) }
            state.total += sum
            for (shard, amount) in bytes { state.byShard[shard] += amount }
            return (true, nil)
        }
    }

    func release(_ bytes: [Int: Int]) {
        state.withLock { state in
            for (shard, amount) in bytes {
                state.total -= amount
                state.byShard[shard] -= amount
            }
        }
    }
}
