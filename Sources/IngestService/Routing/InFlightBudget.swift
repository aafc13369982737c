import Synchronization

/// The budget of bytes on the way to shards. One shard may hold half of it, so that a slow one can't block the others.
package final class InFlightBudget: Sendable {
    private let state: Mutex<(total: Int, byShard: [Int])>
    private let totalMax: Int

    package init(bytes: Int, shards: Int) {
        totalMax = bytes
        state = Mutex((0, Array(repeating: 0, count: shards)))
    }

    package var total: Int { state.withLock { $0.total } }

    /// Reserves bytes by shard, all or nothing. If refused, `shard` is the one whose half is used, or nil if the whole budget is.
    package func reserve(_ bytes: [Int: Int]) -> (granted: Bool, shard: Int?) {
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

    /// Gives back reserved bytes, by shard.
    package func release(_ bytes: [Int: Int]) {
        state.withLock { state in
            for (shard, amount) in bytes {
                state.total -= amount
                state.byShard[shard] -= amount
            }
        }
    }
}
