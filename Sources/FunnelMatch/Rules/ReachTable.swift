/// How far each row leads, for all attempts of a unit at once.
///
/// The entry of (depth d, k, row at position p) is the smallest possible latest clock value of a chain from that row to depth d
/// that does exactly k more optional steps; `Int64.max` if there is none. An attempt gets that far if and only if the entry is
/// within its limit. From a row at clock value t, the next step is in `(t - slack, t + stride]` and not after the first event
/// that stops the chain. Both ends ascend with t. So one level is a sliding minimum for each pair of positions: O(rows x
/// steps).
///
/// The table is exact if clock values never decrease along a chain and no row fits two steps. Otherwise a row may be used
/// twice, and with more than one tick of slack exclusions are ignored; then the depth that it gives is an upper bound.
struct ReachTable: Sendable {
    private let rules: ChainRules
    private var rows = 0
    private var levels: [[Int64]]
    private var isFilled: [Bool]
    /// Whether a level stays filled while others are.
    private var keepsLevels = false
    /// By skipped steps and row: clock value of the first event that stops the chain; no next step can be after it. Empty if
    /// there are none.
    private var stops: [Int64] = []
    /// Of one pair of positions, by event: clock value of the first event from it on that stops a chain; `Int64.max` if there is none.
    private var stopsFrom: [Int64] = []
    private var queue: [Int] = []
    /// Whether only the window from step 1 bounds a next step; then a later row never leads further than an earlier one.
    private let hasNoEnds: Bool

    init(_ rules: ChainRules) {
        self.rules = rules
        levels = Array(repeating: [], count: rules.steps + 1)
        isFilled = Array(repeating: false, count: rules.steps + 1)
        hasNoEnds = (0..<rules.steps).allSatisfy { rules.stride(to: $0) == Int64.max }
    }

    /// Begins a unit: computes its stops and empties all levels.
    /// - Parameter excluding: exclusions that count.
    mutating func reset(_ unit: UnitRows, excluding: ExclusionSet, keepsLevels: Bool = false, _ budget: inout WorkBudget) throws(MatchError)
    {
        rows = unit.row.count
        self.keepsLevels = keepsLevels || rules.isSerial
        for depth in isFilled.indices { isFilled[depth] = false }
        stops.removeAll(keepingCapacity: true)
        let active = rules.isMonotone ? excluding & unit.excluded : ExclusionSet()
        guard rules.isStrict || !active.isEmpty else { return }
        stops.append(contentsOf: repeatElement(Int64.max, count: rows * (rules.gapMax + 1)))
        for position in 0..<(rules.steps - 1) {
            for next in (position + 1)..<rules.steps {
                try fillStops(unit, position, next, active, &budget)
                if !rules.optional.contains(next) { break }
            }
        }
    }

    /// Fills the stops of the rows at one position before a step at another one: O(events + rows), however many groups there are.
    private mutating func fillStops(
        _ unit: UnitRows, _ position: Int, _ next: Int, _ active: ExclusionSet, _ budget: inout WorkBudget
    ) throws(MatchError) {
        let watching = active & rules.watching(position, next)
        if !rules.isStrict, watching.isEmpty { return }
        let plane = (next - position - 1) * rows
        let both = StepSet(only: position) | StepSet(only: next)
        let clock = rules.isStrict ? unit.clock : unit.excludedClock
        try budget.pass(clock.count)
        stopsFrom.resize(to: clock.count, Int64.max)
        var first = Int64.max
        for x in clock.indices.reversed() {
            let isStop = rules.isStrict ? (unit.mask[x] & both).isEmpty : !(unit.excludedBits[x] & watching).isEmpty
            if isStop { first = clock[x] }
            stopsFrom[x] = first
        }
        for group in 0..<unit.groups {
            let list = unit.list(group, position)
            try budget.pass(list.count + 1)
            var x = 0
            for j in list {
                x = clock.firstIndex(after: unit.time[j], from: x)
                if x == clock.count { break }
                stops[plane + j] = stopsFrom[x]
            }
        }
    }

    /// The clock value of the first event after which no step `skipped + 1` positions further can follow this row; `Int64.max`
    /// if there is none.
    func stop(_ index: Int, skipped: Int) -> Int64 { stops.isEmpty ? Int64.max : stops[skipped * rows + index] }

    /// The last clock value at which a row at `position` can be followed by one at `next`, apart from the window from step 1.
    func latest(_ unit: UnitRows, _ index: Int, _ position: Int, _ next: Int) -> Int64 {
        min(unit.time[index].adding(rules.stride(to: next)), stop(index, skipped: next - position - 1))
    }

    /// The entry of a row; the level must be filled. Level 0 is the one of `fillFiltered`.
    func latest(level: Int, optional k: Int, index: Int) -> Int64 { levels[level][k * rows + index] }

    /// A range with all rows of a list that lead to a depth within the limit of an attempt, for a search outward from A.
    func leading(_ list: Range<Int>, level: Int, optional k: Int, through limit: Int64) -> Range<Int> {
        guard rules.slack > 1, hasNoEnds else { return list }
        let plane = k * rows
        let whole = (plane + list.lowerBound)..<(plane + list.upperBound)
        return list.lowerBound..<(levels[level].firstIndex(after: limit, in: whole) - plane)
    }

    /// Fills the level of a depth. With optional steps levels are larger, which counts toward the budget.
    mutating func fill(_ depth: Int, _ unit: UnitRows, _ budget: inout WorkBudget) throws(MatchError) {
        if isFilled[depth] { return }
        if !keepsLevels, depth + 1 < levels.count {
            // Depths are tried downwards, so the memory of the level above is reused, unless attempts come back to it.
            levels.swapAt(depth, depth + 1)
            isFilled[depth + 1] = false
        }
        isFilled[depth] = true
        try budget.spend(rows * rules.optionals(after: 0, depth: depth) / 4)
        try fill(level: depth, depth: depth, unit, &budget) { _ in true }
    }

    /// Fills level 0: only with chains whose last row is good.
    mutating func fillFiltered(depth: Int, _ unit: UnitRows, _ budget: inout WorkBudget, isGood: (Int) -> Bool) throws(MatchError) {
        try fill(level: 0, depth: depth, unit, &budget, isGood)
    }

    private mutating func fill(
        level: Int, depth: Int, _ unit: UnitRows, _ budget: inout WorkBudget, _ isGood: (Int) -> Bool
    ) throws(MatchError) {
        var entries: [Int64] = []
        swap(&entries, &levels[level])
        let planes = 1 + rules.optionals(after: 0, depth: depth)
        entries.removeAll(keepingCapacity: true)
        entries.append(contentsOf: repeatElement(Int64.max, count: rows * planes))
        for group in 0..<unit.groups {
            try budget.pass(1)
            if (0..<depth).contains(where: { !rules.optional.contains($0) && unit.list(group, $0).isEmpty }) { continue }
            for j in unit.list(group, depth - 1) where isGood(j) { entries[j] = unit.time[j] }
            for position in (0..<(depth - 1)).reversed() {
                for next in (position + 1)..<depth {
                    let done = rules.optional.contains(next) ? 1 : 0
                    for k in 0...rules.optionals(after: next, depth: depth) {
                        let planes = (from: k * rows, to: (k + done) * rows)
                        try budget.pass(unit.list(group, position).count)
                        lead(&entries, planes, unit, group, position, next)
                    }
                    if done == 0 { break }
                }
            }
        }
        swap(&entries, &levels[level])
    }

    /// Improves the entries of one position by those of a next position.
    private mutating func lead(
        _ entries: inout [Int64], _ planes: (from: Int, to: Int), _ unit: UnitRows, _ group: Int, _ position: Int, _ next: Int
    ) {
        let stride = rules.stride(to: next)
        let others = unit.list(group, next)
        let from = planes.from
        let plane = (next - position - 1) * rows
        let hasStops = !stops.isEmpty
        // Rows in reach with ascending entries, the smallest first.
        queue.removeAll(keepingCapacity: true)
        var head = 0
        var entering = others.lowerBound
        for j in unit.list(group, position) {
            let t = unit.time[j]
            var end = t.adding(stride)
            if hasStops { end = min(end, stops[plane + j]) }
            while entering < others.upperBound, unit.time[entering] <= end {
                let entry = entries[from + entering]
                if entry != Int64.max {
                    while queue.count > head, entries[from + queue[queue.count - 1]] >= entry { queue.removeLast() }
                    queue.append(entering)
                }
                entering += 1
            }
            while head < queue.count, unit.time[queue[head]] <= t - rules.slack { head += 1 }
            if head < queue.count { entries[planes.to + j] = min(entries[planes.to + j], max(t, entries[from + queue[head]])) }
        }
    }
}
