import FunnelModel

/// Matches one user's history exactly under any rules (`FUNNEL.md` sections 3 to 5 and 7). Reused from user to user.
///
/// A table has, for all attempts of a unit at once, how deep they get (`ReachTable`); a search finds their chains
/// (`ChainSearch`). Any order uses matchings instead (`AnyOrder`).
package struct RuleMatcher: Sendable {
    let plan: FunnelPlan
    let rules: ChainRules
    private let units: Units
    var unit: UnitRows
    var table: ReachTable
    var search: ChainSearch
    var anyOrder: AnyOrder
    var budget: WorkBudget
    /// In any order: positions of the attempt kept, if they are known already; else empty.
    var anyPositions: [Int] = []
    /// Attempts whose depth is not known yet.
    private var pending: [UnitRows.Start] = []
    /// Rows sorted by unit value.
    private var unitRows: [Int] = []
    /// Range of each value in `unitRows`.
    private var runs: [Range<Int>] = []

    private enum Units { case users, attempts, sessions, values }

    /// A matcher for one thread.
    /// - Parameters:
    ///   - workMax: max number of failed visits of a search for one user; more is the error `.workBudget`.
    ///   - isCancelled: called at least about once a millisecond, since one history may take long.
    package init(_ plan: FunnelPlan, workMax: Int = Limits.userWork, isCancelled: @escaping @Sendable () -> Bool = { false }) {
        self.plan = plan
        rules = ChainRules(plan)
        unit = UnitRows(plan, rules)
        table = ReachTable(rules)
        search = ChainSearch(rules)
        budget = WorkBudget(limit: workMax, isCancelled: isCancelled)
        anyOrder = AnyOrder(rules)
        switch plan.definition.countBy {
        case .users: units = .users
        case .attempts: units = .attempts
        case .sessions: units = .sessions
        case .property: units = .values
        }
    }

    /// Matches a history.
    /// - Parameter body: called with the outcome of each unit that entered and is not left out: at most one for a user;
    ///   attempts and sessions in order of time; values in order of their first events.
    package mutating func match(_ history: UserHistory, body: (UserOutcome) -> Void) throws(MatchError) {
        try match(history, plan.entryRange, body)
    }

    mutating func match(
        _ history: UserHistory, _ range: Range<Int64>, _ body: (UserOutcome) -> Void
    ) throws(MatchError) {
        budget.reset()
        try budget.pass(history.time.count)
        switch units {
        case .users:
            unit.load(history, history.time.indices)
            if let outcome = try outcome(history, range, isUser: true) { body(outcome) }
        case .attempts:
            unit.load(history, history.time.indices)
            try attempts(history, range, body)
        case .sessions:
            var from = 0
            while from < history.time.count {
                var end = from + 1
                while end < history.time.count,
                    plan.ticks(history.time[end]) - plan.ticks(history.time[end - 1]) <= plan.sessionGap.count
                { end += 1 }
                unit.load(history, from..<end)
                if let outcome = try outcome(history, range, isUser: false) { body(outcome) }
                from = end
            }
        case .values:
            try splitValues(history)
            for run in runs {
                unit.load(history, unitRows[run])
                if let outcome = try outcome(history, range, isUser: false) { body(outcome) }
            }
        }
    }

    /// Groups rows by value: fills `runs`, in the order of the first events of the values.
    private mutating func splitValues(_ history: UserHistory) throws(MatchError) {
        unitRows.removeAll(keepingCapacity: true)
        for row in history.unit.indices where history.unit[row] >= 0 { unitRows.append(row) }
        try unitRows.sort(&budget) { (history.unit[$0], $0) < (history.unit[$1], $1) }
        runs.removeAll(keepingCapacity: true)
        var from = 0
        for end in 1..<(unitRows.count + 1)
        where end == unitRows.count || history.unit[unitRows[end]] != history.unit[unitRows[from]] {
            runs.append(from..<end)
            from = end
        }
        runs.sort { unitRows[$0.lowerBound] < unitRows[$1.lowerBound] }
    }

    /// The chosen attempt of the unit (`FUNNEL.md` section 5); nil if the unit did not enter or is left out.
    private mutating func outcome(
        _ history: UserHistory, _ range: Range<Int64>, isUser: Bool
    ) throws(MatchError) -> UserOutcome? {
        search.beginUnit()
        if rules.isAny { return try anyOutcome(history, range, isUser: isUser) }
        if unit.depthMax <= 1, let outcome = shallowOutcome(history, range, isUser: isUser) { return outcome.depth > 0 ? outcome : nil }
        try unit.arrange(history, entryRange: range, &budget)
        guard !unit.starts.isEmpty else { return nil }
        if try isLeftOut() { return nil }
        try table.reset(unit, excluding: rules.excluding, &budget)
        return try choose(isUser: isUser)
    }

    // MARK: Depth one

    /// Whether only its windows and success end an attempt.
    private var hasNoStops: Bool { !rules.isStrict && unit.excluded.isEmpty }

    /// The outcome of a unit that never gets past step 1; nil if one pass over the rows cannot decide it.
    func shallowOutcome(_ history: UserHistory, _ range: Range<Int64>, isUser: Bool) -> UserOutcome? {
        guard unit.depthMax == 1 else { return UserOutcome() }
        if !(unit.excluded & rules.dropping).isEmpty { return nil }
        var first = -1
        var latest = -1
        for i in unit.mask.indices where unit.fills(i, 0, history) && range.contains(history.time[unit.source[i]]) {
            if first < 0 { first = i }
            latest = i
        }
        if first < 0 { return UserOutcome() }
        if plan.definition.entry == .first { latest = first }
        let closes = rules.closes(start: unit.clock[latest], last: unit.clock[latest], depth: 1)
        let isOpen = isUser && rules.steps > 1 && plan.ticks(plan.asOf) <= closes
        if isOpen, !hasNoStops { return nil }
        return UserOutcome(depth: 1, chain: [unit.source[first]], openDepth: isOpen ? 1 : 0)
    }

    // MARK: One outcome of a unit

    mutating func choose(isUser: Bool) throws(MatchError) -> UserOutcome {
        pending.removeAll(keepingCapacity: true)
        pending.append(contentsOf: plan.definition.entry == .first ? unit.starts.prefix(1) : unit.starts[...])
        let openFrom = isUser ? firstOpenClock() : Int64.max
        var best = UserOutcome()
        for depth in (1...max(1, unit.depthMax)).reversed() {
            try table.fill(depth, unit, &budget)
            for k in (0...rules.optionals(after: 0, depth: depth)).reversed() {
                try judge(depth, k, isCandidate: best.depth == 0, openFrom, &best)
            }
            if best.depth == rules.steps || best.openDepth > 0 { break }
            if best.depth > 0, !pending.contains(where: { unit.time[$0.index] >= openFrom }) { break }
        }
        if best.depth == rules.steps { best.openDepth = 0 }
        return best
    }

    /// Finds the attempts of one depth and number of optional steps, removes them from `pending`, and if `isCandidate` keeps
    /// the best in `best`.
    private mutating func judge(
        _ depth: Int, _ k: Int, isCandidate: Bool, _ openFrom: Int64, _ best: inout UserOutcome
    ) throws(MatchError) {
        let isCandidate = isCandidate && best.depth == 0
        var bestTook = Int64.max
        var kept = 0
        for n in pending.indices {
            try budget.pass(rules.steps)
            let start = pending[n]
            let clock = unit.time[start.index]
            let mayBeOpen = clock >= openFrom && depth < rules.steps
            if isCandidate || mayBeOpen, try reaches(start, depth, k, &best, &bestTook, isCandidate: isCandidate, mayBeOpen: mayBeOpen) {
                continue
            }
            pending[kept] = start
            kept += 1
        }
        pending.removeLast(pending.count - kept)
    }

    private mutating func reaches(
        _ start: UnitRows.Start, _ depth: Int, _ k: Int, _ best: inout UserOutcome, _ bestTook: inout Int64, isCandidate: Bool,
        mayBeOpen: Bool
    ) throws(MatchError) -> Bool {
        let clock = unit.time[start.index]
        let end = table.latest(level: depth, optional: k, index: start.index)
        guard end <= rules.limit(start: clock) else { return false }
        let isShortest = plan.definition.entry == .shortest
        if !mayBeOpen, bestTook < Int64.max {
            // A later attempt must be shorter. If clock values strictly increase, the nearest events are also the earliest: of
            // two chains, the one that is behind can continue with the rest of the other one, or is overtaken.
            if !isShortest || bestTook == 0 || (rules.slack == 0 && rules.optional.isEmpty && end - clock >= bestTook) { return true }
        }
        guard try search.find(start, depth: depth, optional: k, unit, table, excluding: rules.excluding, &budget) else { return false }
        if mayBeOpen, isOpen() { best.openDepth = max(best.openDepth, depth) }
        let took = max(0, unit.time[search.chain[depth - 1]] - clock)
        if isCandidate, bestTook == Int64.max || (isShortest && took < bestTook) {
            bestTook = took
            best.depth = depth
            best.chain.removeAll(keepingCapacity: true)
            for j in search.chain { best.chain.append(j < 0 ? -1 : unit.source[unit.row[j]]) }
        }
        return true
    }

    /// Attempts that start before this clock value are closed at `as_of`; `Int64.max` if all are.
    private func firstOpenClock() -> Int64 {
        let now = plan.ticks(plan.asOf)
        let newest = unit.clock[unit.clock.count - 1]
        if now > newest + plan.window.count { return Int64.max }
        return rules.fromFirst ? now - plan.window.count : Int64.min
    }

    private func isOpen() -> Bool {
        let now = plan.ticks(plan.asOf)
        return now <= search.closes(unit) && search.stop(unit, table, excluding: rules.excluding) >= now
    }

    // MARK: Serial attempts

    /// The serial attempts (`FUNNEL.md` section 7, "What is counted"): for each step-1 event in order, its deepest chain of
    /// events that no earlier attempt used. The next one starts strictly later than the end of the chain.
    private mutating func attempts(
        _ history: UserHistory, _ range: Range<Int64>, _ body: (UserOutcome) -> Void
    ) throws(MatchError) {
        search.beginUnit()
        if rules.isAny { return try anyAttempts(history, range, body) }
        var end = Int64.min
        if unit.depthMax <= 1, hasNoStops {
            for i in unit.mask.indices where unit.clock[i] > end && unit.fills(i, 0, history) {
                guard range.contains(history.time[unit.source[i]]) else { continue }
                body(UserOutcome(depth: 1, chain: [unit.source[i]]))
                end = rules.steps == 1 ? unit.clock[i] : rules.closes(start: unit.clock[i], last: unit.clock[i], depth: 1)
            }
            return
        }
        try unit.arrange(history, entryRange: range, &budget)
        guard !unit.starts.isEmpty, try !isLeftOut() else { return }
        try table.reset(unit, excluding: rules.excluding, &budget)
        for start in unit.starts where unit.time[start.index] > end && !search.isUsed(start.row) {
            try budget.pass(rules.steps)
            try findDeepest(start)
            body(UserOutcome(depth: search.chain.count, chain: search.chain.map { $0 < 0 ? -1 : unit.source[unit.row[$0]] }))
            search.use(unit)
            if search.chain.count == rules.steps {
                end = search.chain.reduce(Int64.min) { $1 < 0 ? $0 : max($0, unit.time[$1]) }
            } else {
                end = min(search.closes(unit), search.stop(unit, table, excluding: rules.excluding))
            }
        }
    }

    private mutating func findDeepest(_ start: UnitRows.Start) throws(MatchError) {
        for depth in (1...max(1, unit.depthMax)).reversed() {
            try table.fill(depth, unit, &budget)
            for k in (0...rules.optionals(after: 0, depth: depth)).reversed() {
                if try search.find(start, depth: depth, optional: k, unit, table, excluding: rules.excluding, &budget) { return }
            }
        }
    }
}

extension Array {
    /// Sorts, and ends early if the query is cancelled.
    mutating func sort(_ budget: inout WorkBudget, by areInOrder: (Element, Element) -> Bool) throws(MatchError) {
        do {
            try sort { a, b in
                try budget.pass(1)
                return areInOrder(a, b)
            }
        } catch {
            throw MatchError.cancelled
        }
    }
}
