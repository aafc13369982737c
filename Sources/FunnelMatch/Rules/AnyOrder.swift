import FunnelModel

/// One attempt in any order: the max number of positions that can be given distinct events of the window.
///
/// Sets of rows that can be assigned to distinct positions form a matroid. So taking row after row, whenever a row can be
/// assigned together with those taken before, gives a largest set, and of these the first in the order of the rows (`FUNNEL.md`
/// section 5). Excluded events between the first and the last row of a chain break it unless a row of the chain shares their
/// clock value. So the chain must cover those values up to some point. The covers are themselves a matching, of clock values to
/// positions, and any covers that can be assigned can be extended to a largest set.
struct AnyOrder: Sendable {
    private let rules: ChainRules
    private var matching: PositionMatching
    private var cursors: [Int] = []

    /// Rows of the unit in the chain found last, A first.
    private(set) var rows: [Int] = []
    /// Rows of the chain kept.
    private(set) var kept: [Int] = []
    /// Group of the chain kept; -1 before there is one.
    private(set) var keptGroup = -1
    /// Rows of the window that fit a position, without A.
    private var window: [Candidate] = []
    /// Distinct clock values of excluded events in the window, ascending; at most as many as steps.
    private var barriers: [Int64] = []

    private struct Candidate {
        let row: Int
        let clock: Int64
        let mask: StepSet
    }

    init(_ rules: ChainRules) {
        self.rules = rules
        matching = PositionMatching(positions: rules.steps)
    }

    /// Whether the chain found last is deeper than the one kept, or as deep and nearer to A.
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
        _ a: Int, _ group: Int, _ unit: UnitRows, excluding: ExclusionSet, _ budget: inout WorkBudget
    ) throws(MatchError) {
        let end = unit.clock[a] + rules.window
        takeFirst(a, group, unit, through: end)
        guard !(unit.excluded & excluding).isEmpty else { return }
        findBarriers(unit, excluding, from: unit.clock[a], before: unit.clock[rows[rows.count - 1]])
        if barriers.allSatisfy({ x in rows.contains { unit.clock[$0] == x } }) { return }
        findBarriers(unit, excluding, from: unit.clock[a], before: end)
        let own = Candidate(row: a, clock: unit.clock[a], mask: unit.positions(a, group))
        let (covered, depth) = try reach(own, group, unit, &budget)
        if covered > 0 { try takeCovering(own, covered, depth, &budget) }
    }

    /// Takes row after row, ignoring exclusions.
    private mutating func takeFirst(_ a: Int, _ group: Int, _ unit: UnitRows, through end: Int64) {
        rows.removeAll(keepingCapacity: true)
        rows.append(a)
        matching.reset()
        _ = matching.add(a, unit.positions(a, group))
        let from = unit.clock[a]
        var near = a
        while near > 0, unit.clock[near - 1] == from { near -= 1 }
        if rules.held.isEmpty {
            // Usually the next few rows suffice.
            let far = min(unit.clock.count, near + 32)
            while near < far, rows.count < rules.steps {
                if unit.clock[near] > end { return }
                if near != a, !(unit.mask[near] - matching.saturated).isEmpty, matching.add(near, unit.mask[near]) { rows.append(near) }
                near += 1
            }
        }
        if near == unit.clock.count || rows.count == rules.steps { return }
        cursors.removeAll(keepingCapacity: true)
        for position in 0..<rules.steps { cursors.append(unit.entry(near, unit.list(group, position))) }
        while rows.count < rules.steps {
            var row = Int.max
            var mask = StepSet()
            for position in StepSet.first(rules.steps) - matching.saturated {
                let cursor = cursors[position]
                guard cursor < unit.list(group, position).upperBound else { continue }
                let candidate = unit.row[cursor]
                if candidate < row {
                    row = candidate
                    mask = StepSet()
                }
                if candidate == row { mask.insert(position) }
            }
            if row == Int.max || unit.clock[row] > end { return }
            for position in mask { cursors[position] += 1 }
            if row != a, matching.add(row, mask) { rows.append(row) }
        }
    }

    private mutating func findBarriers(_ unit: UnitRows, _ excluding: ExclusionSet, from: Int64, before end: Int64) {
        barriers.removeAll(keepingCapacity: true)
        var x = unit.excludedClock.firstIndex(after: from, in: unit.excludedClock.indices)
        // No chain can cover as many values as it has steps, so further ones make no difference.
        while x < unit.excludedClock.count, unit.excludedClock[x] < end, barriers.count < rules.steps {
            let clock = unit.excludedClock[x]
            if !(unit.excludedBits[x] & excluding).isEmpty, barriers.last != clock { barriers.append(clock) }
            x += 1
        }
    }

    private mutating func loadWindow(_ a: Int, _ group: Int, _ unit: UnitRows, through end: Int64) {
        window.removeAll(keepingCapacity: true)
        var row = unit.clock.firstIndex(after: unit.clock[a] - 1, in: unit.clock.indices)
        while row < unit.clock.count, unit.clock[row] <= end {
            let mask = row == a ? StepSet() : unit.positions(row, group)
            if !mask.isEmpty { window.append(Candidate(row: row, clock: unit.clock[row], mask: mask)) }
            row += 1
        }
    }

    /// The number of barriers that a chain can pass, and the max depth. If it can pass none, `rows` is the chain; else this
    /// loads the window up to the barrier that it cannot pass.
    private mutating func reach(
        _ a: Candidate, _ group: Int, _ unit: UnitRows, _ budget: inout WorkBudget
    ) throws(MatchError) -> (covered: Int, depth: Int) {
        matching.reset()
        _ = matching.add(a.row, a.mask)
        var covered = 0
        while covered < barriers.count {
            let barrier = barriers[covered]
            var mask = StepSet()
            var row = unit.clock.firstIndex(after: barrier - 1, in: unit.clock.indices)
            while row < unit.clock.count, unit.clock[row] == barrier {
                mask |= unit.positions(row, group)
                row += 1
            }
            guard !mask.isEmpty, matching.add(-1, mask) else { break }
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

    /// Adds a row at this clock value to the matching: one item with the positions of all of them, since any one may cover it.
    private mutating func cover(_ barrier: Int64, from: Int) -> Bool {
        var mask = StepSet()
        var low = (from..<window.count).partitioningIndex { window[$0].clock >= barrier }
        while low < window.count, window[low].clock == barrier {
            mask |= window[low].mask
            low += 1
        }
        return !mask.isEmpty && matching.add(-1, mask)
    }

    /// The size of a largest set of the chosen rows and of those from an index on that are not after the next barrier.
    private mutating func rank(_ chosen: [Candidate], from: Int, _ covered: Int) -> Int {
        matching.reset()
        for candidate in chosen { _ = matching.add(candidate.row, candidate.mask) }
        let end = covered < barriers.count ? barriers[covered] : Int64.max
        for candidate in window[from...] {
            if candidate.clock > end || matching.count == rules.steps { break }
            if !(candidate.mask - matching.saturated).isEmpty { _ = matching.add(candidate.row, candidate.mask) }
        }
        return matching.count
    }

    /// Finds the first chain of a depth in the order of the rows, which passes at most `covered` barriers.
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

    /// Whether these rows, with others from an index on, can make a chain of that depth.
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

    /// `drop_user`: whether a chain of that depth is neither broken nor unclean (`FUNNEL.md` section 7, "Exclusions").
    mutating func hasClean(
        _ a: Int, _ group: Int, _ unit: UnitRows, depth: Int, _ budget: inout WorkBudget
    ) throws(MatchError) -> Bool {
        // An event at the end of the window breaks no chain, but can drop the user.
        let end = unit.clock[a] + rules.window
        findBarriers(unit, rules.excluding, from: unit.clock[a], before: end + 1)
        let own = Candidate(row: a, clock: unit.clock[a], mask: unit.positions(a, group))
        let (covered, reached) = try reach(own, group, unit, &budget)
        if reached < depth { return false }
        if depth == rules.steps { return true }
        return covered == barriers.count || unit.lastExcluded(rules.dropping, through: end) < barriers[covered]
    }

    /// The max depth of an attempt that starts at a row.
    mutating func depth(
        _ a: Int, _ group: Int, _ unit: UnitRows, excluding: ExclusionSet, _ budget: inout WorkBudget
    ) throws(MatchError) -> Int {
        findBarriers(unit, excluding, from: unit.clock[a], before: unit.clock[a] + rules.window)
        let own = Candidate(row: a, clock: unit.clock[a], mask: unit.positions(a, group))
        return try reach(own, group, unit, &budget).depth
    }

    /// The positions of the rows of a chain: each row in turn gets the lowest position with which all later rows can have one
    /// too.
    mutating func positions(_ rows: [Int], _ group: Int, _ unit: UnitRows) -> [Int] {
        var masks = rows.map { unit.positions($0, group) }
        for i in masks.indices {
            for position in masks[i] {
                let whole = masks[i]
                masks[i] = StepSet(only: position)
                matching.reset()
                if masks.allSatisfy({ matching.add(0, $0) }) { break }
                masks[i] = whole
            }
        }
        return masks.map(\.lowest)
    }
}

extension UnitRows {
    /// The positions that a row can fill in a group.
    func positions(_ i: Int, _ group: Int) -> StepSet {
        if rules.held.isEmpty { return mask[i] }
        var positions = StepSet()
        for position in mask[i] {
            let list = list(group, position)
            let index = entry(i, list)
            if index < list.upperBound, row[index] == i { positions.insert(position) }
        }
        return positions
    }

    /// Index of the first entry of a list that is of this row or a later one.
    func entry(_ i: Int, _ list: Range<Int>) -> Int { list.partitioningIndex { row[$0] >= i } }
}
