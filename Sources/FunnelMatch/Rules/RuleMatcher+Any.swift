import FunnelModel

/// Units of a funnel in any order.
extension RuleMatcher {
    private struct Attempt {
        var rows: [Int]
        var positions: [Int]
        var group: Int
    }

    mutating func anyOutcome(
        _ history: UserHistory, _ range: Range<Int64>, _ isCancelled: () -> Bool, isUser: Bool
    ) throws(MatchError) -> UserOutcome? {
        unit.arrange(history, entryRange: range)
        if unit.starts.isEmpty { return nil }
        if plan.definition.entry == .first { unit.keepFirstStart() }
        if try isLeftOutAny() { return nil }
        let now = plan.ticks(plan.asOf)
        let isShortest = plan.definition.entry == .shortest
        var best = Attempt(rows: [], positions: [], group: 0)
        var bestTook = Int64.max
        var open = 0
        var from = 0
        while from < unit.starts.count {
            if from % 1_024 == 1_023, isCancelled() { throw MatchError.cancelled }
            let attempt = try anyAttempt(&from)
            let first = unit.clock[attempt.rows[0]]
            let last = unit.clock[attempt.rows[attempt.rows.count - 1]]
            let depth = attempt.rows.count
            if depth > open, depth < rules.steps, now <= first + rules.window, anyStop(attempt.rows) >= now { open = depth }
            if depth > best.rows.count || (depth == best.rows.count && isShortest && last - first < bestTook) {
                best = attempt
                bestTook = last - first
            }
        }
        var outcome = anyOutcome(&best)
        if isUser, outcome.depth < rules.steps { outcome.openDepth = open }
        return outcome
    }

    mutating func anyAttempts(
        _ history: UserHistory, _ range: Range<Int64>, _ isCancelled: () -> Bool, _ body: (UserOutcome) -> Void
    ) throws(MatchError) {
        unit.arrange(history, entryRange: range)
        if unit.starts.isEmpty { return }
        if try isLeftOutAny() { return }
        var end = Int64.min
        var from = 0
        while from < unit.starts.count {
            if from % 1_024 == 1_023, isCancelled() { throw MatchError.cancelled }
            if unit.clock[unit.starts[from].row] <= end {
                from += 1
                continue
            }
            var attempt = try anyAttempt(&from)
            let first = unit.clock[attempt.rows[0]]
            end = unit.clock[attempt.rows[attempt.rows.count - 1]]
            if attempt.rows.count < rules.steps { end = min(first + rules.window, anyStop(attempt.rows)) }
            body(anyOutcome(&attempt))
        }
    }

    /// The attempt of the start at an index, which moves on to the next row: the best of the groups that the row is in.
    private mutating func anyAttempt(_ from: inout Int) throws(MatchError) -> Attempt {
        let a = unit.starts[from].row
        var best = Attempt(rows: [], positions: [], group: -1)
        while from < unit.starts.count, unit.starts[from].row == a {
            let group = unit.starts[from].group
            from += 1
            if group == best.group { continue }
            try anyOrder.find(a, group, unit, excluding: rules.excluding, &budget)
            var attempt = Attempt(rows: anyOrder.rows, positions: [], group: group)
            if attempt.rows.count < best.rows.count { continue }
            if attempt.rows == best.rows {
                // The same events can be dealt in the ways of either group.
                if best.positions.isEmpty { best.positions = anyOrder.positions(best.rows, best.group, unit) }
                attempt.positions = anyOrder.positions(attempt.rows, group, unit)
                if attempt.positions.lexicographicallyPrecedes(best.positions) { best = attempt }
            } else if attempt.rows.count > best.rows.count || attempt.rows.lexicographicallyPrecedes(best.rows) {
                best = attempt
            }
        }
        return best
    }

    private mutating func anyOutcome(_ attempt: inout Attempt) -> UserOutcome {
        if attempt.positions.isEmpty { attempt.positions = anyOrder.positions(attempt.rows, attempt.group, unit) }
        return UserOutcome(depth: attempt.rows.count, chain: attempt.rows.map { unit.source[$0] }, positions: attempt.positions)
    }

    /// The first excluded event behind a chain.
    private func anyStop(_ rows: [Int]) -> Int64 {
        unit.nextExcluded(rules.excluding, after: unit.clock[rows[rows.count - 1]])
    }

    private mutating func isLeftOutAny() throws(MatchError) -> Bool {
        guard unit.excluded & rules.dropping != 0 else { return false }
        var deepest = 0
        for start in unit.starts {
            deepest = max(deepest, try anyOrder.depth(start.row, start.group, unit, excluding: rules.excluding & ~rules.dropping, &budget))
            if deepest == rules.steps { break }
        }
        for start in unit.starts {
            if try anyOrder.hasClean(start.row, start.group, unit, depth: deepest, &budget) { return false }
        }
        return true
    }
}
