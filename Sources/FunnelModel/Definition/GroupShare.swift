/// Which of its groups a shard tells (`Protocol/PROTOCOL.md`, section 11).
package enum GroupShare: Equatable, Sendable {
    /// The first in the order of a breakdown.
    case leading
    /// Those of some values, different ones, nobody's too.
    case named([PropertyValue])
    case all
}

extension ValueGroups {
    /// What to ask every shard in a second round, after which the first `k` groups are known whole; nil where they are
    /// already.
    /// - Parameters:
    ///   - shards: how many shards' leading groups these are.
    ///   - namedMax: values that can be asked about by name.
    package func question(for k: Int, shards: Int, namedMax: Int = Limits.namedGroups) -> GroupShare? {
        // A single shard's leading groups are the leading ones.
        if untold.values == 0 || shards == 1 && counts.count >= k { return nil }
        let leading = counts.map { ($0.key, $0.value[0]) }.leading(k)
        // The k-th of all groups has no fewer users than the k-th of the parts that are known.
        guard leading.count == k, let least = leading.last.flatMap({ counts[$0]?[0] }), untold.users < least else { return .all }
        let candidates = counts.filter { $0.value[0] + (missing[$0.key] ?? 0) >= least }.map(\.key)
        if candidates.allSatisfy({ missing[$0] == nil }) { return nil }
        let bytes = candidates.reduce(0) { $0 + $1.wireBytes }
        return candidates.count <= namedMax && bytes <= Limits.namedBytes ? .named(candidates.sortedAsText()) : .all
    }
}
