import FunnelModel

/// Sums the outcomes of units: counts, open attempts, step times. Each thread fills its own tally; `merge` joins them.
package struct FunnelTally: Sendable {
    private let plan: FunnelPlan
    private let times: Bool
    /// By row: units that reached it.
    private var counts: [UInt64]
    /// By depth less 1: users by their deepest open attempt.
    private var open: [UInt64]
    /// By depth less 1: users by their chosen attempt, of those with an open one.
    private var stillOpen: [UInt64]
    /// By step, as in `PartialResult`.
    private var fromFirst: [TimeCollector]
    private var fromPrevious: [TimeCollector]
    private var batch = Batch()

    /// An empty tally.
    /// - Parameters:
    ///   - times: whether step times are collected.
    ///   - unit: clock ticks in one tick of the keys that are added.
    package init(_ plan: FunnelPlan, times: Bool, unit: UInt64 = 1) {
        self.plan = plan
        self.times = times
        counts = Array(repeating: 0, count: plan.steps)
        open = counts
        stillOpen = counts
        fromFirst = times ? Array(repeating: TimeCollector(unit: unit), count: plan.steps) : []
        fromPrevious = fromFirst
    }

    /// Adds a unit: a user, or one attempt, session or value of a user.
    /// - Parameter time: the user's event times in microseconds, indexed by the outcome's chain.
    package mutating func add(_ outcome: UserOutcome, time: [Int64]) {
        guard outcome.depth > 0 else { return }
        if outcome.openDepth > 0 { addOpen(outcome.openDepth, depth: outcome.depth) }
        // A step before A's clock value took 0 ticks.
        let first = plan.ticks(time[outcome.chain[0]])
        var previous = first
        for (i, row) in outcome.chain.enumerated() where row >= 0 {
            counts[i] += 1
            guard times, i > 0 else { continue }
            let at = max(first, plan.ticks(time[row]))
            fromFirst[i].add(UInt64(at - first))
            if i > 1 { fromPrevious[i].add(UInt64(max(0, at - previous))) }
            // The previous row of any row is the nearest required one.
            if !plan.optional.contains(i) { previous = at }
        }
    }

    /// Adds units by row, without times or open attempts.
    package mutating func add(counts more: [Int]) {
        for i in counts.indices { counts[i] += UInt64(more[i]) }
    }

    /// Adds users to row 1.
    /// - Parameter stillOpen: those of depth 1 with an open attempt, unless they are in the outcomes added.
    package mutating func add(entered: Int, open stillOpen: Int) {
        counts[0] += UInt64(entered)
        open[0] += UInt64(stillOpen)
        self.stillOpen[0] += UInt64(stillOpen)
    }

    /// Adds a user with an open attempt.
    /// - Parameters:
    ///   - openDepth: depth of the deepest open attempt.
    ///   - depth: depth of the chosen attempt.
    private mutating func addOpen(_ openDepth: Int, depth: Int) {
        open[openDepth - 1] += 1
        stillOpen[depth - 1] += 1
    }

    /// Adds the users of a slice to the rows from step 2 on; `add(entered:open:)` adds row 1.
    package mutating func add(_ outcomes: borrowing SliceOutcomes, _ lists: [KeyList], listOfStep: [Int]) {
        for i in 0..<outcomes.count where outcomes.openDepth[i] > 0 { addOpen(Int(outcomes.openDepth[i]), depth: Int(outcomes.depth[i])) }
        for step in 1..<max(1, plan.steps) {
            let reached = countReached(outcomes, step)
            if reached == 0 { break }
            counts[step] += UInt64(reached)
            if !times { continue }
            let list = { lists[listOfStep[$0]] }
            unsafe list(step).withKeys { at in
                unsafe list(0).withKeys { first in
                    unsafe list(step - 1).withKeys { previous in
                        unsafe addTimes(outcomes, step, reached, at, first, previous)
                    }
                }
            }
        }
    }

    private func countReached(_ outcomes: borrowing SliceOutcomes, _ step: Int) -> Int {
        let depths = outcomes.depth.span
        let depth = UInt8(step + 1)
        var reached = 0
        var i = 0
        while i < depths.count {
            reached &+= unsafe depths[unchecked: i] >= depth ? 1 : 0
            i &+= 1
        }
        return reached
    }

    /// The difference of two keys of one user is that of their ticks.
    private mutating func addTimes(
        _ outcomes: borrowing SliceOutcomes, _ step: Int, _ reached: Int, _ at: UnsafePointer<UInt64>,
        _ first: UnsafePointer<UInt64>, _ previous: UnsafePointer<UInt64>
    ) {
        batch.reserve(reached + 1)
        unsafe batch.fill(outcomes, step, at, first, previous)
        fromFirst[step].add(batch.fromFirst, first: reached)
        if step > 1 { fromPrevious[step].add(batch.fromPrevious, first: reached) }
    }

    /// Adds a tally of the same scan.
    package mutating func merge(_ other: FunnelTally) {
        for i in counts.indices {
            counts[i] += other.counts[i]
            open[i] += other.open[i]
            stillOpen[i] += other.stillOpen[i]
        }
        for i in fromFirst.indices {
            fromFirst[i].merge(other.fromFirst[i])
            fromPrevious[i].merge(other.fromPrevious[i])
        }
    }

    /// The shard's answer without a report.
    package consuming func finish(buckets: [Range<Int>], newestEvent: Int64?) -> PartialResult {
        var result = PartialResult(steps: plan.steps, times: times, buckets: buckets)
        result.counts = counts
        result.open = open
        result.stillOpen = stillOpen
        result.newestEvent = newestEvent
        guard times else { return result }
        result.fromFirst = fromFirst.map { $0.finish() }
        result.fromPrevious = fromPrevious.map { $0.finish() }
        return result
    }
}

/// Buffers for the times of a slice's users who reached a step.
private struct Batch {
    private(set) var fromFirst: [UInt64] = []
    private(set) var fromPrevious: [UInt64] = []

    mutating func reserve(_ count: Int) {
        guard fromFirst.count < count else { return }
        fromFirst = Array(repeating: 0, count: max(count, 2 * fromFirst.count))
        fromPrevious = fromFirst
    }

    /// Writes the times: the difference of two keys of one user is that of their ticks. There must be room for one time more
    /// than users who reached the step.
    mutating func fill(
        _ outcomes: borrowing SliceOutcomes, _ step: Int, _ at: UnsafePointer<UInt64>, _ first: UnsafePointer<UInt64>,
        _ previous: UnsafePointer<UInt64>
    ) {
        unsafe Self.fill(&fromFirst, &fromPrevious, outcomes, step, at, first, previous)
    }

    private static func fill(
        _ fromFirst: inout [UInt64], _ fromPrevious: inout [UInt64], _ outcomes: borrowing SliceOutcomes, _ step: Int,
        _ at: UnsafePointer<UInt64>, _ first: UnsafePointer<UInt64>, _ previous: UnsafePointer<UInt64>
    ) {
        let depths = outcomes.depth.span
        // Bound to names first, since a span may not outlive its array.
        let (columns0, columns1, columns2) = (outcomes.chosen[step], outcomes.chosen[0], outcomes.chosen[step - 1])
        let (chosen, chosenFirst, chosenPrevious) = (columns0.span, columns1.span, columns2.span)
        var fromFirst = fromFirst.mutableSpan
        var fromPrevious = fromPrevious.mutableSpan
        let depth = UInt8(step + 1)
        var kept = 0
        var i = 0
        // Every user is written; the next one overwrites those who did not get here. Their indexes mean nothing, so index 0 is
        // read.
        while i < depths.count {
            let isDeep = depths[i] >= depth
            let key = unsafe at[isDeep ? Int(chosen[i]) : 0]
            fromFirst[kept] = unsafe key &- first[isDeep ? Int(chosenFirst[i]) : 0]
            fromPrevious[kept] = unsafe key &- previous[isDeep ? Int(chosenPrevious[i]) : 0]
            kept &+= isDeep ? 1 : 0
            i &+= 1
        }
    }
}
