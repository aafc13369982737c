import FunnelModel

/// A plan's rules for chains, in ticks, in a form that is fast to read.
struct ChainRules: Sendable {
    let steps: Int
    let slack: Int64
    let window: Int64
    let fromFirst: Bool
    /// By position: max ticks from the previous matched step; `Int64.max` is no bound.
    let stepWindow: [Int64]
    let optional: StepSet
    let isStrict: Bool
    let isAny: Bool
    let isSerial: Bool
    let exclusions: [FunnelPlan.Exclusion]
    /// All exclusions.
    let excluding: ExclusionSet
    /// Exclusions with `drop_user`.
    let dropping: ExclusionSet
    /// Max number of optional steps in a row.
    let gapMax: Int
    let held: [[Int]]

    init(_ plan: FunnelPlan) {
        steps = plan.steps
        window = plan.window.count
        fromFirst = plan.definition.anchor == .firstStep
        optional = plan.optional
        isStrict = plan.definition.order == .strict
        isAny = plan.definition.order == .any
        isSerial = plan.definition.countBy == .attempts
        slack = plan.slack.count
        exclusions = plan.exclusions
        held = plan.held
        stepWindow = plan.stepWindow.map { $0?.count ?? Int64.max }
        excluding = ExclusionSet.first(plan.exclusions.count)
        var dropping = ExclusionSet()
        for (e, exclusion) in plan.exclusions.enumerated() where exclusion.dropsUser { dropping.insert(e) }
        self.dropping = dropping
        var run = 0
        var longest = 0
        for position in 0..<plan.steps {
            run = plan.optional.contains(position) ? run + 1 : 0
            longest = max(longest, run)
        }
        gapMax = longest
    }

    /// Whether clock values never decrease along a chain. Then an excluded event is between two neighbours or outside the
    /// chain, and rows of earlier attempts are out of reach.
    var isMonotone: Bool { slack <= 1 }

    /// Exclusions that apply between a step done and the next step done. If steps were skipped, the last step done before
    /// `after` counts in its place, and the first step done after `before` in its place.
    func watching(_ from: Int, _ to: Int) -> ExclusionSet {
        var watching = ExclusionSet()
        for (e, exclusion) in exclusions.enumerated() where exclusion.after < to && from < exclusion.before {
            watching.insert(e)
        }
        return watching
    }

    /// Number of optional steps after `position` within the first `depth` steps.
    func optionals(after position: Int, depth: Int) -> Int {
        (optional & StepSet.first(depth) - StepSet.first(position + 1)).count
    }

    /// Max ticks from the step done before it to `position`, apart from the window from step 1.
    func stride(to position: Int) -> Int64 { fromFirst ? stepWindow[position] : min(window, stepWindow[position]) }

    /// Max ticks from the last step of a chain to any possible next step, apart from the window from step 1.
    func strideAfter(depth: Int) -> Int64 {
        if isAny { return Int64.max }
        var longest: Int64 = 0
        for position in depth..<max(depth, steps) {
            longest = max(longest, stride(to: position))
            if !optional.contains(position) { break }
        }
        return longest
    }

    /// The latest clock value that a step of an attempt can have.
    func limit(start: Int64) -> Int64 { fromFirst ? start + window : Int64.max - 1 }

    /// The last clock value at which the windows admit a next step.
    func closes(start: Int64, last: Int64, depth: Int) -> Int64 {
        min(limit(start: start), last.adding(strideAfter(depth: depth)))
    }
}

extension Int64 {
    /// The sum; a distance of `Int64.max` means no bound.
    func adding(_ distance: Int64) -> Int64 { distance == Int64.max ? distance : self + distance }
}

extension Array where Element: FixedWidthInteger {
    /// Index of the first element greater than `bound` in an ascending range; its end if there is none.
    func firstIndex(after bound: Element, in range: Range<Int>) -> Int { range.partitioningIndex { self[$0] > bound } }

    /// Index of the first element greater than `bound` from `start` on, in an ascending array; its end if there is none. Takes the
    /// logarithm of the distance.
    func firstIndex(after bound: Element, from start: Int) -> Int {
        var low = start
        var step = 1
        while low < count, self[low] <= bound {
            let next = Swift.min(low + step, count)
            if next == count || self[next] > bound { return firstIndex(after: bound, in: (low + 1)..<next) }
            low = next
            step *= 2
        }
        return low
    }
}
