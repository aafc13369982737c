import FunnelModel

/// Units of a funnel in any order.
extension RuleMatcher {
    mutating func anyOutcome(
        _ history: UserHistory, _ range: Range<Int64>, isUser: Bool
    ) throws(MatchError) -> UserOutcome? {
        try unit.arrange(history, entryRange: range, &budget)
        if unit.starts.isEmpty { return nil }
        if plan.definition.entry == .first { unit.keepFirstStart() }
        if try isLeftOutAny() { return nil }
        let now = plan.ticks(plan.asOf)
        let mayBeOpen = isUser && now <= unit.clock[unit.clock.count - 1] + rules.window
        let isShortest = plan.definition.entry == .shortest
        var best = UserOutcome()
        var bestTook = Int64.max
        var group = 0
        var open = 0
        var from = 0
        while from < unit.starts.count {
            try anyAttempt(&from)
            let rows = anyOrder.kept
            let first = unit.clock[rows[0]]
            let took = unit.clock[rows[rows.count - 1]] - first
            if mayBeOpen, rows.count > open, rows.count < rules.steps, now <= first + rules.window, anyStop() >= now { open = rows.count }
            if rows.count > best.depth || (rows.count == best.depth && isShortest && took < bestTook) {
                best.depth = rows.count
                best.chain.removeAll(keepingCapacity: true)
                for row in rows { best.chain.append(row) }
                bestTook = took
                group = anyOrder.keptGroup
                best.positions = anyPositions
                // No other attempt can be better, or as deep and open.
                let isDeepest = best.depth == unit.depthMax && (best.depth == rules.steps || !mayBeOpen)
                if isDeepest, !isShortest || took == 0 { break }
            }
        }
        if best.positions.isEmpty { best.positions = anyOrder.positions(best.chain, group, unit) }
        for i in best.chain.indices { best.chain[i] = unit.source[best.chain[i]] }
        if isUser, best.depth < rules.steps { best.openDepth = open }
        return best
    }

    mutating func anyAttempts(
        _ history: UserHistory, _ range: Range<Int64>, _ body: (UserOutcome) -> Void
    ) throws(MatchError) {
        try unit.arrange(history, entryRange: range, &budget)
        if unit.starts.isEmpty { return }
        if try isLeftOutAny() { return }
        var end = Int64.min
        var from = 0
        while from < unit.starts.count {
            if unit.clock[unit.starts[from].row] <= end {
                from += 1
                continue
            }
            try anyAttempt(&from)
            let rows = anyOrder.kept
            let positions = anyPositions.isEmpty ? anyOrder.positions(rows, anyOrder.keptGroup, unit) : anyPositions
            body(UserOutcome(depth: rows.count, chain: rows.map { unit.source[$0] }, positions: positions))
            let isDone = rows.count == rules.steps
            end = isDone ? unit.clock[rows[rows.count - 1]] : min(unit.clock[rows[0]] + rules.window, anyStop())
        }
    }

    /// Keeps the attempt of the start at an index: the best one of the groups that its row is in. Advances the index to the
    /// next row.
    private mutating func anyAttempt(_ from: inout Int) throws(MatchError) {
        try budget.pass(rules.steps * rules.steps)
        let a = unit.starts[from].row
        var group = -1
        anyPositions.removeAll(keepingCapacity: true)
        while from < unit.starts.count, unit.starts[from].row == a {
            defer { from += 1 }
            if unit.starts[from].group == group { continue }
            let isFirst = group < 0
            group = unit.starts[from].group
            try anyOrder.find(a, group, unit, excluding: rules.excluding, &budget)
            if isFirst {
                anyOrder.keep(group)
            } else if anyOrder.rows == anyOrder.kept {
                // The same events can be assigned as in either group.
                if anyPositions.isEmpty { anyPositions = anyOrder.positions(anyOrder.kept, anyOrder.keptGroup, unit) }
                let positions = anyOrder.positions(anyOrder.rows, group, unit)
                if positions.lexicographicallyPrecedes(anyPositions) { anyPositions = positions }
            } else if anyOrder.rowsAreBetter {
                anyOrder.keep(group)
                anyPositions.removeAll(keepingCapacity: true)
            }
        }
    }

    /// The clock value of the first excluded event after the chain kept.
    private func anyStop() -> Int64 {
        unit.nextExcluded(rules.excluding, after: unit.clock[anyOrder.kept[anyOrder.kept.count - 1]])
    }

    private mutating func isLeftOutAny() throws(MatchError) -> Bool {
        guard !(unit.excluded & rules.dropping).isEmpty else { return false }
        let excluding = rules.excluding - rules.dropping
        var deepest = 0
        for start in unit.starts where deepest < rules.steps {
            try budget.pass(rules.steps)
            deepest = max(deepest, try anyOrder.depth(start.row, start.group, unit, excluding: excluding, &budget))
        }
        for start in unit.starts {
            try budget.pass(rules.steps)
            if try anyOrder.hasClean(start.row, start.group, unit, depth: deepest, &budget) { return false }
        }
        return true
    }
}
