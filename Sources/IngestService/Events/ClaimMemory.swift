import FunnelModel
import Synchronization

/// Claims that shards have stored lately, with their times. Many SDKs send both ids with every event; a row for each would double the
/// log. A claim that is not remembered is stored again, which changes nothing.
package final class ClaimMemory: Sendable {
    /// A hash table with a fixed number of places for each hash. Two claims of one project that share 64 bits of a hash with a secret
    /// seed would be taken for one; with a million claims that happens once in 10^13.
    private struct Table {
        /// Places for the hashes with the same lowest bits: one cache line.
        static let ways = 8
        /// 0 is a free place.
        var hashes: [UInt64]
        var times: [Int64]
        var count = 0
        /// Which of the places is taken next if none is free.
        var turn = 0

        init(_ places: Int) {
            hashes = [UInt64](repeating: 0, count: places)
            times = [Int64](repeating: 0, count: places)
        }

        private func first(_ hash: UInt64) -> Int { Int(truncatingIfNeeded: hash) & (hashes.count - 1) & ~(Self.ways - 1) }

        func place(of hash: UInt64) -> Int? {
            let first = first(hash)
            let places = hashes.span
            for place in first..<first &+ Self.ways where places[place] == hash { return place }
            return nil
        }

        mutating func set(_ hash: UInt64, _ time: Int64) {
            let first = first(hash)
            var place = (first..<first + Self.ways).first { hashes[$0] == hash || hashes[$0] == 0 }
            if place == nil {
                place = first + turn
                turn = (turn + 1) % Self.ways
            }
            let at = place ?? first
            if hashes[at] == 0 { count += 1 }
            times[at] = hashes[at] == hash ? min(times[at], time) : time
            hashes[at] = hash
        }

        /// The same entries in a table of twice the size.
        func doubled() -> Table {
            var table = Table(hashes.count * 2)
            for i in hashes.indices where hashes[i] != 0 { table.set(hashes[i], times[i]) }
            return table
        }
    }

    private static let leastPlaces = 4_096
    /// Max number of places, of 16 bytes each; a power of 2.
    private let placesMax: Int
    private let seed = UInt64.random(in: .min ... .max)
    /// Nil until the first claim: most projects have none.
    private let state = Mutex<Table?>(nil)

    package init(placesMax: Int = 1 << 20) { self.placesMax = placesMax }

    /// Number of claims that are remembered.
    package var count: Int { state.withLock { $0?.count ?? 0 } }

    /// The claims that a shard has to store: of equal ones the earliest, unless an earlier one is stored.
    package func missing(_ claims: ClaimList, project: UInt32) -> ClaimList {
        if claims.isEmpty { return claims }
        let hashes = hashes(claims, project)
        let new = state.withLock { table in
            guard let table else { return Array(hashes.indices) }
            return hashes.indices.filter { i in table.place(of: hashes[i]).map { claims.times[i] < table.times[$0] } ?? true }
        }
        return new.isEmpty ? ClaimList() : claims.earliest(hashes, among: new)
    }

    /// Remembers claims that shards have stored.
    package func note(_ stored: ClaimList, project: UInt32) {
        if stored.isEmpty { return }
        let hashes = hashes(stored, project)
        state.withLock { table in
            for (hash, time) in zip(hashes, stored.times) {
                var changed = table.take() ?? Table(min(Self.leastPlaces, placesMax))
                if changed.count > changed.hashes.count / 2, changed.hashes.count < placesMax { changed = changed.doubled() }
                changed.set(hash, time)
                table = consume changed
            }
        }
    }

    private func hashes(_ claims: ClaimList, _ project: UInt32) -> [UInt64] {
        var hashes = claims.hashes(seed: XXH64.hash(withUnsafeBytes(of: project.littleEndian) { Array($0) }, seed: seed))
        for i in hashes.indices where hashes[i] == 0 { hashes[i] = 1 }
        return hashes
    }
}
