/// Which of its groups a shard reports (`PROTOCOL.md` section 11).
package enum GroupShare: Equatable, Sendable {
    /// The first groups in the order of a breakdown, within `Limits.leadingGroups` and `leadingBytes`.
    case leading
    /// Those of some distinct values, including values that no user has.
    case named([PropertyValue])
    case all
}

extension ValueGroups {
    /// What to ask every shard in a second round, so that the first `k` groups are complete; nil if they are already.
    /// - Parameters:
    ///   - shards: number of shards whose leading groups these are.
    ///   - namedMax: max number of values that can be asked about by name.
    package func question(for k: Int, shards: Int, namedMax: Int = Limits.namedGroups) -> GroupShare? {
        // A single shard's leading groups are the leading ones.
        if untold.values == 0 || shards == 1 && counts.count >= k { return nil }
        let leading = counts.map { ($0.key, $0.value[0]) }.leading(k)
        // The k-th of all groups has at least as many users as the k-th of the known parts.
        guard leading.count == k, let least = leading.last.flatMap({ counts[$0]?[0] }), untold.users < least else { return .all }
        let candidates = counts.filter { $0.value[0] + (missing[$0.key] ?? 0) >= least }.map(\.key)
        if candidates.allSatisfy({ missing[$0] == nil }) { return nil }
        let bytes = candidates.reduce(0) { $0 + $1.wireBytes }
        return candidates.count <= namedMax && bytes <= Limits.namedBytes ? .named(candidates.sortedAsText()) : .all
    }
}
