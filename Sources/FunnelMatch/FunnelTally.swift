import FunnelModel

/// Adds users' outcomes up. Several threads each fill one of their own; `merge` makes them one.
package struct FunnelTally: Sendable {
    private let plan: FunnelPlan
    private let times: Bool
    /// Users with a depth of at least i + 1.
    private var counts: [UInt64]
    private var open: [UInt64]
    /// Ticks of the clock, by step.
    private var fromFirst: [TimeCollector]
    private var fromPrevious: [TimeCollector]

    package init(_ plan: FunnelPlan, times: Bool) {
        self.plan = plan
        self.times = times
        counts = Array(repeating: 0, count: plan.steps)
        open = counts
        fromFirst = times ? Array(repeating: TimeCollector(), count: plan.steps) : []
        fromPrevious = fromFirst
    }

    /// - Parameter time: the user's event times in microseconds, to which the outcome's chain refers.
    package mutating func add(_ outcome: UserOutcome, time: [Int64]) {
        guard outcome.depth > 0 else { return }
        for i in 0..<outcome.depth { counts[i] += 1 }
        if outcome.openDepth > 0 { open[outcome.openDepth - 1] += 1 }
        guard times else { return }
        // A step before A's clock value took no time.
        let first = plan.ticks(time[outcome.chain[0]])
        var previous = first
        for i in 1..<max(1, outcome.depth) {
            let at = max(first, plan.ticks(time[outcome.chain[i]]))
            fromFirst[i].add(UInt64(at - first))
            fromPrevious[i].add(UInt64(max(0, at - previous)))
            previous = at
        }
    }

    /// Depths alone.
    package mutating func add(counts more: [Int]) {
        for i in counts.indices { counts[i] += UInt64(more[i]) }
    }

    /// Users who entered, and those of them who got no further than step 1 and still can.
    package mutating func add(entered: Int, open stillOpen: Int) {
        counts[0] += UInt64(entered)
        open[0] += UInt64(stillOpen)
    }

    /// A slice's users from step 2 on; who entered is told apart.
    /// - Parameter scale: the clock's ticks in one of the keys'.
    package mutating func add(
        _ outcomes: borrowing SliceOutcomes, _ lists: [KeyList], listOfStep: [Int], scale: UInt64
    ) {
        for i in 0..<outcomes.count where outcomes.openDepth[i] > 0 { open[Int(outcomes.openDepth[i]) - 1] += 1 }
        for step in 1..<max(1, plan.steps) {
            let reached = countReached(outcomes, step)
            if reached == 0 { break }
            counts[step] += UInt64(reached)
            if !times { continue }
            let list = { lists[listOfStep[$0]] }
            unsafe list(step).withKeys { at in unsafe list(0).withKeys { first in unsafe list(step - 1).withKeys { previous in
                unsafe addTimes(outcomes, step, at, first, previous, scale)
            }}}
        }
    }

    private func countReached(_ outcomes: borrowing SliceOutcomes, _ step: Int) -> Int {
        let depths = outcomes.depth.span
        let depth = UInt8(step + 1)
        var reached = 0
        var i = 0
        while i < depths.count {
            reached &+= depths[unchecked: i] >= depth ? 1 : 0
            i &+= 1
        }
        return reached
    }

    /// Keys of one user differ as their ticks do.
    private mutating func addTimes(
        _ outcomes: borrowing SliceOutcomes, _ step: Int, _ at: UnsafePointer<UInt64>, _ first: UnsafePointer<UInt64>,
        _ previous: UnsafePointer<UInt64>, _ scale: UInt64
    ) {
        let depths = outcomes.depth.span
        // Bound first, since a span may not outlive what it looks at.
        let (columns0, columns1, columns2) = (outcomes.chosen[step], outcomes.chosen[0], outcomes.chosen[step - 1])
        let chosen = columns0.span
        let chosenFirst = columns1.span
        let chosenPrevious = columns2.span
        let depth = UInt8(step + 1)
        var i = 0
        while i < depths.count {
            if depths[i] >= depth {
                let key = unsafe at[Int(chosen[i])]
                fromFirst[step].add(unsafe (key &- first[Int(chosenFirst[i])]) &* scale)
                fromPrevious[step].add(unsafe (key &- previous[Int(chosenPrevious[i])]) &* scale)
            }
            i &+= 1
        }
    }

    package mutating func merge(_ other: FunnelTally) {
        for i in counts.indices {
            counts[i] += other.counts[i]
            open[i] += other.open[i]
        }
        for i in fromFirst.indices {
            fromFirst[i].merge(other.fromFirst[i])
            fromPrevious[i].merge(other.fromPrevious[i])
        }
    }

    package consuming func finish(buckets: [Range<Int>], newestEvent: Int64?) -> PartialResult {
        var result = PartialResult(steps: plan.steps, times: times, buckets: buckets)
        result.counts = counts
        result.open = open
        result.newestEvent = newestEvent
        guard times else { return result }
        result.fromFirst = fromFirst.map { $0.finish() }
        result.fromPrevious = fromPrevious.map { $0.finish() }
        // Step 1 took everyone no time.
        var zeros = TimeCollector()
        zeros.add(0, times: counts[0])
        result.fromFirst[0] = zeros.finish()
        return result
    }
}
