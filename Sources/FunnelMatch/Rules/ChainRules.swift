import FunnelModel

/// What a plan says about chains, in ticks, laid out for loops.
struct ChainRules: Sendable {
    let steps: Int
    let slack: Int64
    let window: Int64
    let fromFirst: Bool
    /// By position, from the previous matched step; `Int64.max` is no bound.
    let stepWindow: [Int64]
    let optional: UInt64
    let isStrict: Bool
    let isAny: Bool
    let isSerial: Bool
    let exclusions: [FunnelPlan.Exclusion]
    /// Exclusions as bits: all of them, and those that drop the user.
    let excluding: UInt64
    let dropping: UInt64
    /// Optional steps that may be skipped in a row, at most.
    let gapMax: Int
    let held: [[Int]]

    init(_ plan: FunnelPlan) {
        steps = plan.steps
        window = plan.window
        fromFirst = plan.definition.anchor == .firstStep
        optional = plan.optional
        isStrict = plan.definition.order == .strict
        isAny = plan.definition.order == .any
        isSerial = plan.definition.countBy == .attempts
        slack = plan.slack
        exclusions = plan.exclusions
        held = plan.held
        stepWindow = plan.stepWindow.map { $0 ?? Int64.max }
        excluding = UInt64.lowest(plan.exclusions.count)
        var dropping: UInt64 = 0
        for (e, exclusion) in plan.exclusions.enumerated() where exclusion.dropsUser { dropping |= 1 << UInt64(e) }
        self.dropping = dropping
        var run = 0
        var longest = 0
        for position in 0..<plan.steps {
            run = plan.optional.has(position) ? run + 1 : 0
            longest = max(longest, run)
        }
        gapMax = longest
    }

    /// Along a chain clock values never fall. Then excluded events come between two neighbours or not at all, and rows of
    /// earlier attempts are out of reach.
    var isMonotone: Bool { slack <= 1 }

    /// Exclusions that watch the way from a step done to the next one done. With skipped steps between them, the last step
    /// done before `after` stands for it, and the first one done behind `before`.
    func watching(_ from: Int, _ to: Int) -> UInt64 {
        var bits: UInt64 = 0
        for (e, exclusion) in exclusions.enumerated() where exclusion.after < to && from < exclusion.before {
            bits |= 1 << UInt64(e)
        }
        return bits
    }

    /// Optional steps among the positions behind `position`, up to that of `depth`.
    func optionals(after position: Int, depth: Int) -> Int {
        (optional & UInt64.lowest(depth) & ~UInt64.lowest(position + 1)).nonzeroBitCount
    }

    /// Ticks from a step done to a next one, besides the window from step 1.
    func stride(to position: Int) -> Int64 { fromFirst ? stepWindow[position] : min(window, stepWindow[position]) }

    /// Ticks from the last step of a depth that any next step may take, besides the window from step 1.
    func strideAfter(depth: Int) -> Int64 {
        if isAny { return Int64.max }
        var longest: Int64 = 0
        for position in depth..<max(depth, steps) {
            longest = max(longest, stride(to: position))
            if !optional.has(position) { break }
        }
        return longest
    }

    /// The latest clock value of any step of an attempt.
    func limit(start: Int64) -> Int64 { fromFirst ? start + window : Int64.max - 1 }

    /// The last clock value at which the windows allow a next step.
    func closes(start: Int64, last: Int64, depth: Int) -> Int64 {
        min(limit(start: start), last.adding(strideAfter(depth: depth)))
    }
}

extension UInt64 {
    /// The lowest `count` bits.
    static func lowest(_ count: Int) -> UInt64 { count >= 64 ? ~0 : (1 << UInt64(count)) - 1 }

    func has(_ bit: Int) -> Bool { self >> UInt64(bit) & 1 == 1 }
}

extension Int64 {
    /// The sum, where `Int64.max` is no bound.
    func adding(_ distance: Int64) -> Int64 { distance == Int64.max ? distance : self + distance }
}

extension Array where Element: FixedWidthInteger {
    /// Index of the first element greater than `bound` in an ascending stretch; its end if there is none.
    func firstIndex(after bound: Element, in range: Range<Int>) -> Int {
        var low = range.lowerBound
        var high = range.upperBound
        while low < high {
            let middle = (low + high) / 2
            if self[middle] <= bound { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
