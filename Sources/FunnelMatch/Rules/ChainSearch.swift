/// Finds the chain that one attempt takes (`FUNNEL.md` section 5): step by step the event nearest to A, of those that lead to
/// the wanted depth. Where the table is exact, the search never backtracks. Elsewhere it remembers states that failed, and
/// counts its work.
struct ChainSearch: Sendable {
    private let rules: ChainRules

    /// By position: entry of the unit's lists; -1 if the optional step is skipped.
    private(set) var chain: [Int] = []
    private var depth = 0
    private var group = 0
    private var origin: Int64 = 0
    private var limit: Int64 = 0
    private var isExact = true
    private var mayRepeat = false
    private var mayBreak = false
    private var wantsClean = false
    private var excluding = ExclusionSet()
    private var failed: Set<[Int64]> = []

    /// By row of the unit: whether an earlier attempt used it. Empty if no row is used.
    private var isUsed: [Bool] = []
    private var latestUsed = Int64.min

    init(_ rules: ChainRules) { self.rules = rules }

    mutating func beginUnit() {
        isUsed.removeAll(keepingCapacity: true)
        latestUsed = Int64.min
    }

    /// Makes the rows of the chain found last unavailable to later attempts.
    mutating func use(_ unit: UnitRows) {
        if rules.isMonotone { return }
        if isUsed.isEmpty { isUsed.append(contentsOf: repeatElement(false, count: unit.clock.count)) }
        for j in chain where j >= 0 {
            isUsed[unit.row[j]] = true
            latestUsed = max(latestUsed, unit.time[j])
        }
    }

    func isUsed(_ row: Int) -> Bool { !isUsed.isEmpty && isUsed[row] }

    /// Whether the table is exact for an attempt from this clock value.
    func isExact(_ unit: UnitRows, start: Int64, excluding: ExclusionSet) -> Bool {
        if rules.slack == 0 { return true }
        if unit.shares { return false }
        return rules.isMonotone || ((unit.excluded & excluding).isEmpty && latestUsed <= start - rules.slack * Int64(rules.steps - 1))
    }

    /// Finds the chain from `start` of a depth that does k optional steps; false if there is none.
    /// - Parameter wantsClean: whether no event with `drop_user` may stop the chain within its windows.
    mutating func find(
        _ start: UnitRows.Start, depth: Int, optional k: Int, _ unit: UnitRows, _ table: ReachTable, excluding: ExclusionSet,
        wantsClean: Bool = false, _ budget: inout WorkBudget
    ) throws(MatchError) -> Bool {
        origin = unit.time[start.index]
        limit = rules.limit(start: origin)
        guard table.latest(level: depth, optional: k, index: start.index) <= limit else { return false }
        self.depth = depth
        self.wantsClean = wantsClean
        self.excluding = excluding & unit.excluded
        group = start.group
        isExact = !wantsClean && isExact(unit, start: origin, excluding: excluding)
        mayRepeat = unit.shares && rules.slack > 0
        mayBreak = !rules.isMonotone && !self.excluding.isEmpty
        chain.removeAll(keepingCapacity: true)
        chain.append(start.index)
        if depth == 1 { return !wantsClean || isClean(unit) }
        if !isExact {
            failed.removeAll(keepingCapacity: true)
            if mayRepeat, try !distinctRowsExist(unit, &budget) { return false }
        }
        return try extend(1, 0, k, unit, table, &budget)
    }

    /// Fills the positions from `i` on; `previous` is the last one done.
    private mutating func extend(
        _ i: Int, _ previous: Int, _ k: Int, _ unit: UnitRows, _ table: ReachTable,
        _ budget: inout WorkBudget
    ) throws(MatchError) -> Bool {
        if i == depth { return true }
        let state = isExact ? [] : state(i, previous, k, unit)
        if !isExact, failed.contains(state) { return false }
        let before = chain[previous]
        let left = rules.optional.contains(i) ? k - 1 : k
        if left >= 0 {
            let low = unit.time[before] - rules.slack
            let high = min(limit, table.latest(unit, before, previous, i))
            let list = table.leading(unit.list(group, i), level: depth, optional: left, through: limit)
            var order = NearestRows(unit.time, list, to: origin, after: low, through: high)
            while let j = order.next(unit.time) {
                if table.latest(level: depth, optional: left, index: j) <= limit, isFree(j, unit) {
                    chain.append(j)
                    if isAllowed(i, previous, unit), try extend(i + 1, i, left, unit, table, &budget) { return true }
                    chain.removeLast()
                }
                // Only failed candidates are counted, so that a linear mode never exceeds its budget.
                try budget.spend(1)
            }
        }
        // A step is skipped only if no chain of this depth and number of optional steps does it.
        if rules.optional.contains(i), i < depth - 1 {
            chain.append(-1)
            if try extend(i + 1, previous, k, unit, table, &budget) { return true }
            chain.removeLast()
        }
        if !isExact { failed.insert(state) }
        return false
    }

    private func isFree(_ j: Int, _ unit: UnitRows) -> Bool {
        let row = unit.row[j]
        if isUsed(row) { return false }
        return !mayRepeat || !chain.contains { $0 >= 0 && unit.row[$0] == row }
    }

    /// Whether the row just added at position i, after `previous`, leaves the chain unbroken, and clean if asked.
    private func isAllowed(_ i: Int, _ previous: Int, _ unit: UnitRows) -> Bool {
        let isLast = i == depth - 1
        if mayBreak {
            for e in excluding & rules.watching(previous, i) {
                // Decided when the first step at or after `before` is done, or the last step of the chain.
                if isLast || i >= rules.exclusions[e].before, breaks(e, i, unit) { return false }
            }
        }
        return !(isLast && wantsClean) || isClean(unit)
    }

    /// Whether an event of the exclusion is between its steps done, up to the one at `through`, and shares no clock value with
    /// one.
    private func breaks(_ e: Int, _ through: Int, _ unit: UnitRows) -> Bool {
        let from = lastDone(rules.exclusions[e].after)
        let end = unit.time[chain[through]]
        var x = unit.excludedClock.firstIndex(after: unit.time[chain[from]], in: unit.excludedClock.indices)
        while x < unit.excludedClock.count, unit.excludedClock[x] < end {
            if unit.excludedBits[x].contains(e), !isTied(unit.excludedClock[x], from, unit) { return true }
            x += 1
        }
        return false
    }

    private func lastDone(_ position: Int) -> Int {
        var position = position
        while chain[position] < 0 { position -= 1 }
        return position
    }

    private func isTied(_ clock: Int64, _ from: Int, _ unit: UnitRows) -> Bool {
        chain[from...].contains { $0 >= 0 && unit.time[$0] == clock }
    }

    /// The state that decides whether the remaining positions can be filled: the last row, the used rows that a later step
    /// could take, and the clock values of events of pending exclusions that steps shared.
    private func state(_ i: Int, _ previous: Int, _ k: Int, _ unit: UnitRows) -> [Int64] {
        var state = [Int64(i), Int64(previous), Int64(chain[previous]), Int64(k)]
        if mayRepeat {
            let ahead = StepSet.first(depth) - StepSet.first(i)
            let reach = unit.time[chain[previous]] - rules.slack * Int64(depth - i)
            let used = chain.filter { $0 >= 0 && unit.time[$0] > reach && !(unit.mask[unit.row[$0]] & ahead).isEmpty }
            state.append(Int64(used.count))
            state += used.map { Int64(unit.row[$0]) }.sorted()
        }
        if mayBreak {
            for (e, exclusion) in rules.exclusions.enumerated()
            where excluding.contains(e) && exclusion.after < i - 1 && previous < exclusion.before {
                let from = lastDone(exclusion.after)
                let since = unit.time[chain[from]]
                let seen = chain[from...].filter { $0 >= 0 && unit.time[$0] > since && unit.isExcluded(e, at: unit.time[$0]) }
                state += [since, Int64(seen.count)] + seen.map { unit.time[$0] }.sorted()
            }
        }
        return state
    }
}

// MARK: - The end of an attempt

extension ChainSearch {
    /// The first clock value later than the chain's last step after which no event can be a further step.
    func stop(_ unit: UnitRows, _ table: ReachTable, excluding: ExclusionSet) -> Int64 {
        let last = chain[chain.count - 1]
        if chain.count == rules.steps { return Int64.max }
        if rules.isMonotone { return table.stop(last, skipped: 0) }
        return firstExcluded(unit, excluding & rules.watching(chain.count - 1, chain.count))
    }

    /// The clock value of the first event of some exclusions that is later than the last step and than step `after`, and shares
    /// no clock value with a step; `Int64.max` if there is none.
    private func firstExcluded(_ unit: UnitRows, _ watching: ExclusionSet) -> Int64 {
        let last = unit.time[chain[chain.count - 1]]
        var x = unit.excludedClock.firstIndex(after: last, in: unit.excludedClock.indices)
        while x < unit.excludedClock.count {
            let clock = unit.excludedClock[x]
            for e in unit.excludedBits[x] & watching {
                let from = lastDone(rules.exclusions[e].after)
                if clock > unit.time[chain[from]], !isTied(clock, from, unit) { return clock }
            }
            x += 1
        }
        return Int64.max
    }

    func closes(_ unit: UnitRows) -> Int64 {
        rules.closes(start: unit.time[chain[0]], last: unit.time[chain[chain.count - 1]], depth: chain.count)
    }

    /// `drop_user`: whether no event with this effect stops the chain within its windows.
    private func isClean(_ unit: UnitRows) -> Bool {
        let watching = excluding & rules.dropping & rules.watching(chain.count - 1, chain.count)
        if chain.count == rules.steps || watching.isEmpty { return true }
        return firstExcluded(unit, watching) > closes(unit)
    }

    /// Cost of listing the rows of one step, in units of the budget.
    private static let stepsOfChoice = 16

    /// Whether each required step can be given a row of its own (Hall's condition, tested by Kuhn's augmenting paths). Without
    /// this test the search would have to try every permutation to find out.
    private mutating func distinctRowsExist(_ unit: UnitRows, _ budget: inout WorkBudget) throws(MatchError) -> Bool {
        try budget.pass(depth * Self.stepsOfChoice)
        var owner = [unit.row[chain[0]]: 0]
        var choices: [[Int]] = [[]]
        let low = origin - rules.slack * Int64(depth)
        for i in 1..<depth {
            let list = rules.optional.contains(i) && i < depth - 1 ? 0..<0 : unit.list(group, i)
            let from = unit.time.firstIndex(after: low, in: list)
            let end = unit.time.firstIndex(after: limit, in: list)
            // A step with as many rows as the chain has steps always gets one, so further rows make no difference.
            var own: [Int] = []
            for j in from..<max(from, end) where own.count < depth && !isUsed(unit.row[j]) { own.append(unit.row[j]) }
            choices.append(own)
        }
        var visits = 0
        func place(_ step: Int, _ seen: inout Set<Int>) -> Bool {
            for row in choices[step] where seen.insert(row).inserted {
                visits += 1
                if let holder = owner[row], holder == 0 || !place(holder, &seen) { continue }
                owner[row] = step
                return true
            }
            return false
        }
        for i in 1..<depth where !(rules.optional.contains(i) && i < depth - 1) {
            var seen: Set<Int> = []
            let placed = place(i, &seen)
            try budget.spend(visits - (placed ? 1 : 0))
            visits = 0
            if !placed { return false }
        }
        return true
    }
}
