/// One attempt in any order: the largest number of positions that can be given distinct events of the window.
///
/// Sets of rows that can be dealt to distinct positions form a matroid. So taking row after row, whenever it can be dealt
/// together with those before, gives the largest set and among those the first in order of the rows (section 5). Excluded
/// events between the first and the last row of a chain break it unless a row of the chain shares their clock value:
/// then the chain must cover those values up to some point. The covers are a matching themselves, of clock values to
/// positions, and any covers that can be dealt can be extended to a largest set.
struct AnyOrder: Sendable {
    private let rules: ChainRules
    private var matching: PositionMatching
    private var cursors: [Int] = []

    /// Of the last attempt: rows of the unit, A first.
    private(set) var rows: [Int] = []
    /// The attempt kept: the same, and its group.
    private(set) var kept: [Int] = []
    private(set) var keptGroup = -1
    /// Rows of the window that fit a position, with their positions; clock values of excluded events.
    private var window: [Candidate] = []
    private var barriers: [Int64] = []

    private struct Candidate {
        let row: Int
        let clock: Int64
        let mask: UInt64
    }

    init(_ rules: ChainRules) {
        self.rules = rules
        matching = PositionMatching(positions: rules.steps)
    }

    /// Deeper than the one kept, or as deep and nearer to A.
    var rowsAreBetter: Bool {
        rows.count != kept.count ? rows.count > kept.count : rows.lexicographicallyPrecedes(kept)
    }

    mutating func keep(_ group: Int) {
        kept.removeAll(keepingCapacity: true)
        for row in rows { kept.append(row) }
        keptGroup = group
    }

    /// Finds the deepest chain of an attempt: `rows`.
    mutating func find(
        _ a: Int, _ group: Int, _ unit: UnitRows, excluding: UInt64, _ budget: inout WorkBudget
    ) throws(MatchError) {
        let end = unit.clock[a] + rules.window
        takeFirst(a, group, unit, through: end)
        guard unit.excluded & excluding != 0 else { return }
        findBarriers(unit, excluding, from: unit.clock[a], before: unit.clock[rows[rows.count - 1]])
        if barriers.allSatisfy({ x in rows.contains { unit.clock[$0] == x } }) { return }
        findBarriers(unit, excluding, from: unit.clock[a], before: end)
        let own = Candidate(row: a, clock: unit.clock[a], mask: unit.positions(a, group))
        let (covered, depth) = try reach(own, group, unit, &budget)
        if covered > 0 { try takeCovering(own, covered, depth, &budget) }
    }

    /// Row after row, whatever is excluded.
    private mutating func takeFirst(_ a: Int, _ group: Int, _ unit: UnitRows, through end: Int64) {
        rows.removeAll(keepingCapacity: true)
        rows.append(a)
        matching.reset()
        _ = matching.add(a, unit.positions(a, group))
        let from = unit.clock[a]
        var near = a
        while near > 0, unit.clock[near - 1] == from { near -= 1 }
        if rules.held.isEmpty {
            // Mostly the next few rows are all there is.
            let far = min(unit.clock.count, near + 32)
            while near < far, rows.count < rules.steps {
                if unit.clock[near] > end { return }
                if near != a, unit.mask[near] & ~matching.saturated != 0, matching.add(near, unit.mask[near]) { rows.append(near) }
                near += 1
            }
        }
        if near == unit.clock.count || rows.count == rules.steps { return }
        cursors.removeAll(keepingCapacity: true)
        for position in 0..<rules.steps { cursors.append(unit.entry(near, unit.list(group, position))) }
        while rows.count < rules.steps {
            var row = Int.max
            var mask: UInt64 = 0
            for position in PositionBits(~matching.saturated & UInt64.lowest(rules.steps)) {
                let cursor = cursors[position]
                guard cursor < unit.list(group, position).upperBound else { continue }
                let candidate = unit.row[cursor]
                if candidate < row {
                    row = candidate
                    mask = 0
                }
                if candidate == row { mask |= 1 << UInt64(position) }
            }
            if row == Int.max || unit.clock[row] > end { return }
            for position in PositionBits(mask) { cursors[position] += 1 }
            if row != a, matching.add(row, mask) { rows.append(row) }
        }
    }

    private mutating func findBarriers(_ unit: UnitRows, _ excluding: UInt64, from: Int64, before end: Int64) {
        barriers.removeAll(keepingCapacity: true)
        var x = unit.excludedClock.firstIndex(after: from, in: unit.excludedClock.indices)
        // No chain can cover as many as there are steps, so more of them need no look.
        while x < unit.excludedClock.count, unit.excludedClock[x] < end, barriers.count < rules.steps {
            if unit.excludedBits[x] & excluding != 0, barriers.last != unit.excludedClock[x] { barriers.append(unit.excludedClock[x]) }
            x += 1
        }
    }

    private mutating func loadWindow(_ a: Int, _ group: Int, _ unit: UnitRows, through end: Int64) {
        window.removeAll(keepingCapacity: true)
        var row = unit.clock.firstIndex(after: unit.clock[a] - 1, in: unit.clock.indices)
        while row < unit.clock.count, unit.clock[row] <= end {
            let mask = row == a ? 0 : unit.positions(row, group)
            if mask != 0 { window.append(Candidate(row: row, clock: unit.clock[row], mask: mask)) }
            row += 1
        }
    }

    /// How many barriers the chain can pass, and the greatest depth. If it can pass none, `rows` is the chain; else this loads
    /// the rows up to the barrier that it can't pass.
    private mutating func reach(
        _ a: Candidate, _ group: Int, _ unit: UnitRows, _ budget: inout WorkBudget
    ) throws(MatchError) -> (covered: Int, depth: Int) {
        matching.reset()
        _ = matching.add(a.row, a.mask)
        var covered = 0
        while covered < barriers.count {
            let barrier = barriers[covered]
            var mask: UInt64 = 0
            var row = unit.clock.firstIndex(after: barrier - 1, in: unit.clock.indices)
            while row < unit.clock.count, unit.clock[row] == barrier {
                mask |= unit.positions(row, group)
                row += 1
            }
            guard mask != 0, matching.add(-1, mask) else { break }
            covered += 1
        }
        let end = covered < barriers.count ? barriers[covered] : a.clock + rules.window
        if covered == 0 {
            takeFirst(a.row, group, unit, through: end)
            return (0, rows.count)
        }
        loadWindow(a.row, group, unit, through: end)
        try budget.spend(window.count)
        return (covered, rank([a], from: 0, covered))
    }

    /// Adds some row at this clock value to the matching. It stands for whichever of them serves.
    private mutating func cover(_ barrier: Int64, from: Int) -> Bool {
        var mask: UInt64 = 0
        var low = from
        var high = window.count
        while low < high {
            let middle = (low + high) / 2
            if window[middle].clock < barrier { low = middle + 1 } else { high = middle }
        }
        while low < window.count, window[low].clock == barrier {
            mask |= window[low].mask
            low += 1
        }
        return mask != 0 && matching.add(-1, mask)
    }

    /// The size of the largest set of the rows chosen and those from an index on that lie before the next barrier.
    private mutating func rank(_ chosen: [Candidate], from: Int, _ covered: Int) -> Int {
        matching.reset()
        for candidate in chosen { _ = matching.add(candidate.row, candidate.mask) }
        let end = covered < barriers.count ? barriers[covered] : Int64.max
        for candidate in window[from...] {
            if candidate.clock > end || matching.count == rules.steps { break }
            if candidate.mask & ~matching.saturated != 0 { _ = matching.add(candidate.row, candidate.mask) }
        }
        return matching.count
    }

    /// The first chain of a depth in order of the rows, passing no more barriers than it can.
    private mutating func takeCovering(
        _ a: Candidate, _ covered: Int, _ depth: Int, _ budget: inout WorkBudget
    ) throws(MatchError) {
        var chosen = [a]
        var index = 0
        while chosen.count < depth, index < window.count {
            chosen.append(window[index])
            index += 1
            try budget.spend((window.count - index + 1) * (covered + 1))
            if !completes(chosen, from: index, covered, depth) { chosen.removeLast() }
        }
        rows.removeAll(keepingCapacity: true)
        for candidate in chosen { rows.append(candidate.row) }
    }

    /// Can these rows, and others from an index on, make a chain of that depth?
    private mutating func completes(_ chosen: [Candidate], from: Int, _ covered: Int, _ depth: Int) -> Bool {
        for passed in 0...covered {
            let end = passed < barriers.count ? barriers[passed] : Int64.max
            if chosen[chosen.count - 1].clock > end { continue }
            matching.reset()
            guard chosen.allSatisfy({ matching.add($0.row, $0.mask) }) else { return false }
            let missing = barriers[..<passed].filter { x in !chosen.contains { $0.clock == x } }
            guard missing.allSatisfy({ cover($0, from: from) }) else { return false }
            if rank(chosen, from: from, passed) >= depth { return true }
        }
        return false
    }

    /// `drop_user`: is there a chain of that depth with no such event up to the end of its window, or with each covered?
    mutating func hasClean(
        _ a: Int, _ group: Int, _ unit: UnitRows, depth: Int, _ budget: inout WorkBudget
    ) throws(MatchError) -> Bool {
        // An event at the end of the window breaks no chain, but is one that drops the user.
        let end = unit.clock[a] + rules.window
        findBarriers(unit, rules.excluding, from: unit.clock[a], before: end + 1)
        let own = Candidate(row: a, clock: unit.clock[a], mask: unit.positions(a, group))
        let (covered, reached) = try reach(own, group, unit, &budget)
        if reached < depth { return false }
        if depth == rules.steps { return true }
        return covered == barriers.count || unit.lastExcluded(rules.dropping, through: end) < barriers[covered]
    }

    /// The depth that some attempt of the row can reach.
    mutating func depth(
        _ a: Int, _ group: Int, _ unit: UnitRows, excluding: UInt64, _ budget: inout WorkBudget
    ) throws(MatchError) -> Int {
        findBarriers(unit, excluding, from: unit.clock[a], before: unit.clock[a] + rules.window)
        let own = Candidate(row: a, clock: unit.clock[a], mask: unit.positions(a, group))
        return try reach(own, group, unit, &budget).depth
    }

    /// The positions of the rows of a chain: for row after row the first that lets the others have one too.
    mutating func positions(_ rows: [Int], _ group: Int, _ unit: UnitRows) -> [Int] {
        var masks = rows.map { unit.positions($0, group) }
        for i in masks.indices {
            for position in PositionBits(masks[i]) {
                let whole = masks[i]
                masks[i] = 1 << UInt64(position)
                matching.reset()
                if masks.allSatisfy({ matching.add(0, $0) }) { break }
                masks[i] = whole
            }
        }
        return masks.map(\.trailingZeroBitCount)
    }
}

extension UnitRows {
    /// The positions that a row has in a group.
    func positions(_ i: Int, _ group: Int) -> UInt64 {
        if rules.held.isEmpty { return mask[i] }
        var positions: UInt64 = 0
        for position in PositionBits(mask[i]) {
            let list = list(group, position)
            let index = entry(i, list)
            if index < list.upperBound, row[index] == i { positions |= 1 << UInt64(position) }
        }
        return positions
    }

    /// The first entry of a list that is of this row or a later one.
    func entry(_ i: Int, _ list: Range<Int>) -> Int {
        var low = list.lowerBound
        var high = list.upperBound
        while low < high {
            let middle = (low + high) / 2
            if row[middle] < i { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
