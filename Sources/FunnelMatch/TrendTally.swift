import FunnelModel

/// Counts users by depth in each bucket in which they have an attempt; a user can count in several.
package struct TrendTally: Sendable {
    private let steps: Int
    private let buckets: Int
    /// `depths[bucket * steps + i]`: users in row i less those in row i + 1, as in `GroupTally`.
    private var depths: [UInt64]

    package init(buckets: Int, steps: Int) {
        self.buckets = buckets
        self.steps = steps
        depths = Array(repeating: 0, count: buckets * steps)
    }

    /// Adds users of one depth to a bucket.
    /// - Parameters:
    ///   - depth: at least 1.
    ///   - skipped: positions of optional steps that were not done.
    package mutating func add(bucket: Int, depth: Int, skipped: StepSet = StepSet(), users: Int = 1) {
        DepthCounts.add(&depths, bucket * steps, depth: depth, skipped: skipped, users: UInt64(users))
    }

    /// Adds the users of a slice who got beyond step 1.
    package mutating func add(deep outcomes: borrowing SliceOutcomes) {
        for i in 0..<outcomes.count { add(bucket: Int(outcomes.group[i]), depth: Int(outcomes.depth[i])) }
    }

    /// Adds the users who only reached step 1. Call once, after `add(deep:)` of all slices.
    /// - Parameter entered: all users with an attempt, by bucket.
    package mutating func add(entered: [Int]) {
        for (bucket, users) in entered.enumerated() {
            var deep = 0
            for i in 1..<max(1, steps) { deep += Int(depths[bucket * steps + i]) }
            add(bucket: bucket, depth: 1, users: users - deep)
        }
    }

    package mutating func merge(_ other: TrendTally) {
        for i in depths.indices { depths[i] &+= other.depths[i] }
    }

    /// The users by bucket and row.
    package func finish() -> [[UInt64]] {
        (0..<buckets).map { bucket in
            var counts: [UInt64] = []
            DepthCounts.append(reaching: depths.span.extracting((bucket * steps)..<((bucket + 1) * steps)), to: &counts)
            return counts
        }
    }
}
