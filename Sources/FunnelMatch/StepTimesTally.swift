import FunnelModel

/// Collects how long users took from one step to a later one. Each thread fills its own tally; `merge` joins them.
package struct StepTimesTally: Sendable {
    private let plan: FunnelPlan
    /// 0-based, `from` before `to`.
    private let from: Int
    private let to: Int
    /// Clock ticks in one unit of the times that are added.
    private let unit: UInt64
    private var times: TimeCollector
    private var least = UInt64.max
    private var greatest: UInt64 = 0
    private var skipped: UInt64 = 0

    /// An empty tally; the steps are 0-based.
    /// - Parameter unit: clock ticks in one tick of the keys that are added.
    package init(_ plan: FunnelPlan, from: Int, to: Int, unit: UInt64 = 1) {
        self.plan = plan
        self.from = from
        self.to = to
        self.unit = unit
        times = TimeCollector(unit: unit)
    }

    /// Adds a user.
    /// - Parameter time: the user's event times in microseconds, indexed by the outcome's chain.
    package mutating func add(_ outcome: UserOutcome, time: [Int64]) {
        guard outcome.depth > to else { return }
        guard outcome.chain[from] >= 0, outcome.chain[to] >= 0 else {
            skipped += 1
            return
        }
        // A step before step 1's clock value counts as if it had that value.
        let first = plan.ticks(time[outcome.chain[0]])
        let start = max(first, plan.ticks(time[outcome.chain[from]]))
        let end = max(first, plan.ticks(time[outcome.chain[to]]))
        add(UInt64(max(0, end - start)))
    }

    /// Adds the users of a slice. The difference of two keys of one user is that of their ticks, and no key is before step 1's.
    package mutating func add(_ outcomes: borrowing SliceOutcomes, _ lists: [KeyList], listOfStep: [Int]) {
        let (starts, ends) = (lists[listOfStep[from]], lists[listOfStep[to]])
        for i in 0..<outcomes.count where Int(outcomes.depth[i]) > to {
            add(ends[Int(outcomes.chosen[to][i])] &- starts[Int(outcomes.chosen[from][i])])
        }
    }

    private mutating func add(_ value: UInt64) {
        times.add(value)
        least = min(least, value)
        greatest = max(greatest, value)
    }

    /// Adds a tally of the same scan.
    package mutating func merge(_ other: StepTimesTally) {
        times.merge(other.times)
        least = min(least, other.least)
        greatest = max(greatest, other.greatest)
        skipped += other.skipped
    }

    package consuming func finish() -> StepTimes {
        let range = least <= greatest ? least * unit...greatest * unit : nil
        return StepTimes(times: times.finish(), range: range, skipped: skipped)
    }
}
