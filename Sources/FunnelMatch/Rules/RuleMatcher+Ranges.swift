import FunnelModel

/// One history matched for several entry ranges.
extension RuleMatcher {
    /// Matches once for each of some adjoining entry ranges, as if each were the plan's own.
    ///
    /// - Parameters:
    ///   - bounds: ascending instants in microseconds; range b is `bounds[b]..<bounds[b + 1]`.
    ///   - body: called with the ranges in ascending order, each with the outcomes of its units.
    package mutating func match(
        _ history: UserHistory, bounds: [Int64], body: (Int, UserOutcome) -> Void
    ) throws(MatchError) {
        guard plan.definition.countBy == .users, !rules.isAny else { return try matchApart(history, bounds, body) }
        budget.reset()
        try budget.pass(history.time.count)
        unit.load(history, history.time.indices)
        // Whether a user is left out is decided for each range.
        guard (unit.excluded & rules.dropping).isEmpty else { return try matchApart(history, bounds, body) }
        var all: [UnitRows.Start]?
        var next = 0
        var row = 0
        while let b = nextRange(&row, history, bounds) {
            let range = bounds[b]..<bounds[b + 1]
            budget.reset()
            search.beginUnit()
            if unit.depthMax <= 1, let outcome = shallowOutcome(history, range, isUser: true) {
                if outcome.depth > 0 { body(b, outcome) }
                continue
            }
            if all == nil {
                try unit.arrange(history, entryRange: bounds[0]..<bounds[bounds.count - 1], &budget)
                all = unit.starts
                try table.reset(unit, excluding: rules.excluding, keepsLevels: true, &budget)
            }
            unit.selectStarts(history, in: range, of: all ?? [], from: &next)
            if !unit.starts.isEmpty { body(b, try choose(isUser: true)) }
        }
    }

    private mutating func matchApart(
        _ history: UserHistory, _ bounds: [Int64], _ body: (Int, UserOutcome) -> Void
    ) throws(MatchError) {
        var row = 0
        while let b = nextRange(&row, history, bounds) {
            try match(history, bounds[b]..<bounds[b + 1]) { body(b, $0) }
        }
    }

    /// The next range with a row that may start an attempt; nil if there is none.
    /// - Parameter row: the first row to look at; afterwards the first row after the range.
    private func nextRange(_ row: inout Int, _ history: UserHistory, _ bounds: [Int64]) -> Int? {
        while row < history.time.count {
            let time = history.time[row]
            guard rules.isAny ? !history.mask[row].isEmpty : history.mask[row].contains(0), time >= bounds[0] else {
                row += 1
                continue
            }
            let b = bounds.firstIndex(after: time, in: bounds.indices) - 1
            if b >= bounds.count - 1 { return nil }
            while row < history.time.count, history.time[row] < bounds[b + 1] { row += 1 }
            return b
        }
        return nil
    }
}
