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
        if untold.values == 0 || shards == 1 && count >= k { return nil }
        // The k-th of all groups has at least as many users as the k-th of the known parts.
        let known = values.indices.map { users(at: $0) }
        guard count >= k, let least = known.nthLargest(k), untold.users < least else { return .all }
        let candidates = values.indices.filter { known[$0] + missing(at: $0) >= least }
        if candidates.allSatisfy({ missing(at: $0) == 0 }) { return nil }
        let bytes = candidates.reduce(0) { $0 + values.wireBytes($1) }
        return candidates.count <= namedMax && bytes <= Limits.namedBytes ? .named(candidates.map(value)) : .all
    }
}
