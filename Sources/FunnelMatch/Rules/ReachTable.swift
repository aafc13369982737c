/// How far each row leads, for all attempts of a unit at once.
///
/// The entry of (depth d, k, row at position p) is the smallest possible latest clock value of a chain from that row to
/// depth d that does exactly k more optional steps; `Int64.max` where there is none. An attempt gets that far exactly if
/// this lies within its limit. From a row at clock value t the next step lies in `(t - slack, t + stride]` and not behind the
/// first stopper; both ends rise with t, so one level is a sliding minimum for each pair of positions: O(rows x steps).
///
/// Where clock values never fall along a chain and no row fits two steps, this is the truth. Otherwise rows may be used
/// twice, and with more than one tick of slack exclusions are left out: then it is a bound from above.
struct ReachTable: Sendable {
    private let rules: ChainRules
    private var rows = 0
    private var levels: [[Int64]]
    private var isFilled: [Bool]
    /// By skipped steps and row: the first clock value behind which no next step can lie; empty where nothing stops.
    private var stops: [Int64] = []
    private var queue: [Int] = []
    /// No next step has an end but the window from step 1: then a later row never leads further than an earlier one.
    private let hasNoEnds: Bool

    init(_ rules: ChainRules) {
        self.rules = rules
        levels = Array(repeating: [], count: rules.steps + 1)
        isFilled = Array(repeating: false, count: rules.steps + 1)
        hasNoEnds = (0..<rules.steps).allSatisfy { rules.stride(to: $0) == Int64.max }
    }

    /// - Parameter excluding: exclusions that count, as bits.
    mutating func reset(_ unit: UnitRows, excluding: UInt64, _ budget: inout WorkBudget) throws(MatchError) {
        rows = unit.row.count
        for depth in isFilled.indices { isFilled[depth] = false }
        stops.removeAll(keepingCapacity: true)
        let active = rules.isMonotone ? excluding & unit.excluded : 0
        guard rules.isStrict || active != 0 else { return }
        stops.append(contentsOf: repeatElement(Int64.max, count: rows * (rules.gapMax + 1)))
        for group in 0..<unit.groups {
            for position in 0..<(rules.steps - 1) {
                for next in (position + 1)..<rules.steps {
                    try budget.pass(unit.list(group, position).count + unit.clock.count)
                    fillStops(unit, group, position, next, active)
                    if !rules.optional.has(next) { break }
                }
            }
        }
    }

    private mutating func fillStops(_ unit: UnitRows, _ group: Int, _ position: Int, _ next: Int, _ active: UInt64) {
        let plane = (next - position - 1) * rows
        let watching = active & rules.watching(position, next)
        if !rules.isStrict, watching == 0 { return }
        let both: UInt64 = 1 << UInt64(position) | 1 << UInt64(next)
        let count = rules.isStrict ? unit.clock.count : unit.excludedClock.count
        var x = 0
        for j in unit.list(group, position) {
            let t = unit.time[j]
            if rules.isStrict {
                while x < count, unit.clock[x] <= t || unit.mask[x] & both != 0 { x += 1 }
                if x < count { stops[plane + j] = unit.clock[x] }
            } else {
                while x < count, unit.excludedClock[x] <= t || unit.excludedBits[x] & watching == 0 { x += 1 }
                if x < count { stops[plane + j] = unit.excludedClock[x] }
            }
        }
    }

    /// The first clock value behind which no step `skipped + 1` further on can follow this row.
    func stop(_ index: Int, skipped: Int) -> Int64 { stops.isEmpty ? Int64.max : stops[skipped * rows + index] }

    /// The last clock value at which a row at `position` can be followed by one at `next`, but for the window from step 1.
    func latest(_ unit: UnitRows, _ index: Int, _ position: Int, _ next: Int) -> Int64 {
        min(unit.time[index].adding(rules.stride(to: next)), stop(index, skipped: next - position - 1))
    }

    /// The entry of a row; the level must be filled. Level 0 is that of `fillFiltered`.
    func latest(level: Int, optional k: Int, index: Int) -> Int64 { levels[level][k * rows + index] }

    /// The rows of a list that may lead to a depth within the limit of an attempt, for a search outward from A.
    func leading(_ list: Range<Int>, level: Int, optional k: Int, through limit: Int64) -> Range<Int> {
        guard rules.slack > 1, hasNoEnds else { return list }
        let plane = k * rows
        let whole = (plane + list.lowerBound)..<(plane + list.upperBound)
        return list.lowerBound..<(levels[level].firstIndex(after: limit, in: whole) - plane)
    }

    /// Many optional steps make large levels; those count.
    mutating func fill(_ depth: Int, _ unit: UnitRows, _ budget: inout WorkBudget) throws(MatchError) {
        if isFilled[depth] { return }
        if !rules.isSerial, depth + 1 < levels.count {
            // Depths are tried downwards, and only serial attempts come back to one.
            levels.swapAt(depth, depth + 1)
            isFilled[depth + 1] = false
        }
        isFilled[depth] = true
        try budget.spend(rows * rules.optionals(after: 0, depth: depth) / 4)
        try fill(level: depth, depth: depth, unit, &budget) { _ in true }
    }

    /// Level 0: only chains whose last row is good.
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
            if (0..<depth).contains(where: { !rules.optional.has($0) && unit.list(group, $0).isEmpty }) { continue }
            for j in unit.list(group, depth - 1) where isGood(j) { entries[j] = unit.time[j] }
            for position in (0..<(depth - 1)).reversed() {
                for next in (position + 1)..<depth {
                    let done = rules.optional.has(next) ? 1 : 0
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

    /// Improves the entries of one position by what those of a next one can do.
    private mutating func lead(
        _ entries: inout [Int64], _ planes: (from: Int, to: Int), _ unit: UnitRows, _ group: Int, _ position: Int, _ next: Int
    ) {
        let stride = rules.stride(to: next)
        let others = unit.list(group, next)
        let from = planes.from
        let plane = (next - position - 1) * rows
        let hasStops = !stops.isEmpty
        // Ascending entries of rows in reach, the smallest first.
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
