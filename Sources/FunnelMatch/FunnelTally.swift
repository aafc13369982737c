import FunnelModel

/// Adds users' outcomes up to a shard's partial result.
package struct FunnelTally: Sendable {
    package private(set) var result: PartialResult
    private let plan: FunnelPlan

    package init(_ plan: FunnelPlan, times: Bool, buckets: [Range<Int>]) {
        self.plan = plan
        result = PartialResult(steps: plan.steps, times: times, buckets: buckets)
    }

    /// - Parameter time: the user's event times in microseconds, to which the outcome's chain refers.
    package mutating func add(_ outcome: UserOutcome, time: [Int64]) {
        guard outcome.depth > 0 else { return }
        for i in 0..<outcome.depth { result.counts[i] += 1 }
        if outcome.openDepth > 0 { result.open[outcome.openDepth - 1] += 1 }
        guard !result.fromFirst.isEmpty else { return }
        // A step before A's clock value took no time.
        let first = plan.ticks(time[outcome.chain[0]])
        var previous = first
        for i in 0..<outcome.depth {
            let at = max(first, plan.ticks(time[outcome.chain[i]]))
            result.fromFirst[i].add(UInt64(at - first))
            if i > 0 { result.fromPrevious[i].add(UInt64(max(0, at - previous))) }
            previous = at
        }
    }

    package consuming func finish(newestEvent: Int64?) -> PartialResult {
        for i in result.fromFirst.indices {
            result.fromFirst[i].seal()
            result.fromPrevious[i].seal()
        }
        result.newestEvent = newestEvent
        return result
    }
}
