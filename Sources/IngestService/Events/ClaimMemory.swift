import FunnelModel
import Synchronization

/// Claims that shards have stored lately, with their times. Many SDKs send both ids with every event; a row for each would double the
/// log. A claim that is not remembered is stored again, which changes nothing.
package final class ClaimMemory: Sendable {
    /// Two hashes of project, kind, child and parent: claims that share both would be taken for one.
    private struct Key: Hashable {
        let first: UInt64
        let second: UInt64

        init(_ claim: Claim, _ project: UInt32) {
            var bytes = ByteWriter()
            bytes.integer(project)
            bytes.integer(UInt8(claim.kind == .identify ? 0 : 1))
            bytes.string(claim.child)
            bytes.string(claim.parent)
            first = XXH64.hash(bytes.bytes)
            second = XXH64.hash(bytes.bytes, seed: 1)
        }
    }

    private struct State {
        var recent: [Key: Int64] = [:]
        var older: [Key: Int64] = [:]
    }

    /// Claims of a generation: two take about 8 MiB.
    private let most: Int
    private let state = Mutex(State())

    package init(most: Int = 65_536) { self.most = most }

    /// Number of claims that are remembered.
    package var count: Int { state.withLock { $0.recent.count + $0.older.count } }

    /// The claims that a shard has to store: of equal ones the earliest, unless an earlier one is stored.
    package func missing(_ claims: [(index: Int, claim: Claim)], project: UInt32) -> [(index: Int, claim: Claim)] {
        if claims.isEmpty { return [] }
        var earliest: [Key: (index: Int, claim: Claim)] = [:]
        for entry in claims {
            let key = Key(entry.claim, project)
            if let known = earliest[key], known.claim.time <= entry.claim.time { continue }
            earliest[key] = entry
        }
        return state.withLock { state in
            earliest.filter { key, entry in
                (state.recent[key] ?? state.older[key]).map { entry.claim.time < $0 } ?? true
            }.values.sorted { $0.index < $1.index }
        }
    }

    /// Remembers claims that shards have stored.
    package func note(_ stored: [(index: Int, claim: Claim)], project: UInt32) {
        if stored.isEmpty { return }
        state.withLock { state in
            for entry in stored {
                let key = Key(entry.claim, project)
                let known = state.recent[key] ?? state.older[key] ?? .max
                state.recent[key] = min(known, entry.claim.time)
            }
            if state.recent.count > most { (state.older, state.recent) = (state.recent, [:]) }
        }
    }
}
