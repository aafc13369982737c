import EventStorage
import FunnelMatch
import FunnelModel

extension ShardQuery {
    /// The funnel's counts for each of several adjoining entry ranges (`FUNNEL.md` section 6, "Trend").
    /// - Parameter bounds: ascending instants in microseconds, at least two; range b is `bounds[b]..<bounds[b + 1]`.
    package func trend(_ bounds: [Int64]) -> TrendScan { TrendScan(self, bounds) }
}

/// A running trend. Threads call `run` concurrently; their tallies are merged.
package struct TrendScan: Sendable {
    private let query: ShardQuery
    private let bounds: [Int64]
    private let queue: SliceQueue
    /// The kernel's plan, and its rules with the bounds between the ranges; nil if users are matched one by one.
    private let kernel: (plan: KernelPlan, rules: KernelRules)?

    init(_ query: ShardQuery, _ bounds: [Int64]) {
        let whole = bounds[0]..<max(bounds[0], bounds[bounds.count - 1])
        let plan = FunnelPlan(query.plan.definition, entryRange: whole, asOf: query.plan.asOf)
        self.query = query.with(plan)
        self.bounds = bounds
        kernel = Self.kernel(self.query, bounds)
        queue = SliceQueue(query, size: kernel?.plan.slicePlaces ?? GeneralScan.slicePlaces)
    }

    /// A kernel matches all ranges in one pass if no tick of the rules is on both sides of a bound; else nil.
    private static func kernel(_ query: ShardQuery, _ bounds: [Int64]) -> (plan: KernelPlan, rules: KernelRules)? {
        let plan: KernelPlan
        switch MatchStrategy.choose(for: query, countsOnly: false) {
        case .attempts(let kernel), .narrowed(let kernel): plan = kernel
        case .counter, .general: return nil
        }
        var rules = plan.rules
        // Trends do not count open attempts.
        rules.openFrom = nil
        for bound in bounds.dropFirst().dropLast() {
            guard let tick = plan.tick(ofBound: bound) else { return nil }
            rules.boundaries.append(tick)
        }
        return AttemptScan.takes(rules) ? (plan, rules) : nil
    }

    /// Number of slices; more threads than that have no work.
    package var slices: Int { queue.count }

    /// Processes slices until none is left.
    /// - Parameter isCancelled: called once a slice, and within long histories.
    /// - Throws: `MatchError`, `StoreError`.
    package func run(isCancelled: () -> Bool) throws -> TrendTally {
        var tally = TrendTally(buckets: bounds.count - 1, steps: query.plan.steps)
        if let (plan, rules) = kernel, query.plan.isNarrowed {
            guard let reader = NarrowedReader(plan, rules) else { return tally }
            try queue.each(isCancelled) { slice in
                try reader.load(slice)
                let outcomes = reader.outcomes
                for i in 0..<outcomes.count { tally.add(bucket: Int(outcomes.group[i]), depth: Int(outcomes.depth[i])) }
            }
        } else if let (plan, rules) = kernel {
            guard var attempts = AttemptScan(rules, includeShallow: false) else { return tally }
            let reader = KernelReader(plan)
            try queue.each(isCancelled) { slice in
                try reader.load(slice)
                attempts.scan(reader.lists, listOfStep: plan.listOfStep)
                tally.add(deep: attempts.outcomes)
            }
            tally.add(entered: attempts.entered)
        } else {
            var matcher = RuleMatcher(query.plan, isCancelled: query.view.isCancelled)
            try GeneralScan(query, looksAtRows: false).each(queue, isCancelled) { history in
                try query.heavy.at(history.place) {
                    try matcher.match(history.events, bounds: bounds) { bucket, outcome in
                        if outcome.depth > 0 { tally.add(bucket: bucket, depth: outcome.depth, skipped: outcome.skipped) }
                    }
                }
            }
        }
        return tally
    }
}

extension KernelPlan {
    /// The first tick of the rules at or after an instant in microseconds; nil if some tick has times on both sides of the
    /// instant.
    fileprivate func tick(ofBound bound: Int64) -> UInt64? {
        let unit = layout.unit * Int64(perTick)
        // Times are whole units of the layout, so only ticks of several units can be split.
        guard perTick == 1 || bound % unit == 0 else { return nil }
        let bounded = max(-(1 << 61), min(1 << 61, bound))
        let tick = Timestamp.floorDivide(bounded + unit - 1, unit) - layout.base / Int64(perTick)
        return UInt64(max(0, min(Int64(1) << Int64(layout.timeBits), tick)))
    }
}
