import FunnelModel

/// `drop_user`: which units are left out.
extension RuleMatcher {
    /// Whether the unit is left out: no clean chain is as deep as the deepest one without the exclusions with `drop_user`. The
    /// table is in an undefined state afterwards.
    mutating func isLeftOut() throws(MatchError) -> Bool {
        guard !(unit.excluded & rules.dropping).isEmpty else { return false }
        let count = plan.definition.entry == .first ? 1 : unit.starts.count
        try table.reset(unit, excluding: rules.excluding - rules.dropping, &budget)
        var deepest = max(1, unit.depthMax)
        while deepest > 1, try !anyReaches(deepest, count) { deepest -= 1 }
        try table.reset(unit, excluding: rules.excluding, &budget)
        return try !anyClean(deepest, count)
    }

    private mutating func anyReaches(_ depth: Int, _ count: Int) throws(MatchError) -> Bool {
        try table.fill(depth, unit, &budget)
        let excluding = rules.excluding - rules.dropping
        for start in unit.starts.prefix(count) {
            try budget.pass(rules.steps)
            for k in 0...rules.optionals(after: 0, depth: depth) {
                if search.isExact(unit, start: unit.time[start.index], excluding: excluding) {
                    let limit = rules.limit(start: unit.time[start.index])
                    if table.latest(level: depth, optional: k, index: start.index) <= limit { return true }
                } else if try search.find(start, depth: depth, optional: k, unit, table, excluding: excluding, &budget) {
                    return true
                }
            }
        }
        return false
    }

    private mutating func anyClean(_ depth: Int, _ count: Int) throws(MatchError) -> Bool {
        try table.fill(depth, unit, &budget)
        let watching = rules.dropping & rules.watching(depth - 1, depth)
        let stride = rules.strideAfter(depth: depth)
        // The last excluded event that level 0 of the table is filtered by.
        var filter: Int64?
        for start in unit.starts.prefix(count) {
            try budget.pass(rules.steps)
            let clock = unit.time[start.index]
            let limit = rules.limit(start: clock)
            let isExact = search.isExact(unit, start: clock, excluding: rules.excluding)
            for k in 0...rules.optionals(after: 0, depth: depth) {
                guard table.latest(level: depth, optional: k, index: start.index) <= limit else { continue }
                if isExact, depth == rules.steps { return true }
                if !isExact {
                    let excluding = rules.excluding
                    if try search.find(start, depth: depth, optional: k, unit, table, excluding: excluding, wantsClean: true, &budget) {
                        return true
                    }
                    continue
                }
                // A chain is clean if none of these events is within its stride, or none between its last step and the limit.
                // In the latter case its last step is not before the latest such event up to the limit.
                let latest = unit.lastExcluded(watching, through: limit)
                if latest != filter {
                    if filter != nil { try budget.spend(unit.row.count) }
                    filter = latest
                    let rows = unit
                    try table.fillFiltered(depth: depth, rows, &budget) { j in
                        rows.time[j] >= latest || rows.nextExcluded(watching, after: rows.time[j]) > rows.time[j].adding(stride)
                    }
                }
                if table.latest(level: 0, optional: k, index: start.index) <= limit { return true }
            }
        }
        return false
    }
}

extension UnitRows {
    func isExcluded(_ exclusion: Int, at clock: Int64) -> Bool {
        var x = excludedClock.firstIndex(after: clock - 1, in: excludedClock.indices)
        while x < excludedClock.count, excludedClock[x] == clock {
            if excludedBits[x].contains(exclusion) { return true }
            x += 1
        }
        return false
    }

    /// The clock value of the last event of some exclusions at or before a clock value; `Int64.min` if there is none.
    func lastExcluded(_ exclusions: ExclusionSet, through end: Int64) -> Int64 {
        var x = excludedClock.firstIndex(after: end, in: excludedClock.indices) - 1
        while x >= 0, (excludedBits[x] & exclusions).isEmpty { x -= 1 }
        return x < 0 ? Int64.min : excludedClock[x]
    }

    /// The clock value of the first event of some exclusions after a clock value; `Int64.max` if there is none.
    func nextExcluded(_ exclusions: ExclusionSet, after clock: Int64) -> Int64 {
        var x = excludedClock.firstIndex(after: clock, in: excludedClock.indices)
        while x < excludedClock.count, (excludedBits[x] & exclusions).isEmpty { x += 1 }
        return x < excludedClock.count ? excludedClock[x] : Int64.max
    }
}
