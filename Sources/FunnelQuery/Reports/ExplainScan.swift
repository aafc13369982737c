import EventStorage
import FunnelMatch
import FunnelModel

extension ShardQuery {
    /// Explains one user, with the matcher that counts (`FUNNEL.md` section 6, "One user explained").
    /// - Returns: the user's counts, and the explanation; nil if the user is not among the query's users.
    /// - Throws: `MatchError`, with `.notUsers` if the plan counts other units; `HeavyUser`, also if the query notes such
    ///   users; `StoreError`.
    package func explain(_ user: ByteString, isCancelled: () -> Bool) throws -> (whole: FunnelTally, explanation: UserExplanation?) {
        guard plan.definition.countBy == .users else { throw MatchError.notUsers }
        var whole = FunnelTally(plan, times: false)
        guard let place = view.place(of: user), places.contains(where: { $0.contains(place) }) else { return (whole, nil) }
        let heavy = HeavyUsers(areNoted: false, rowsMax: heavy.rowsMax)
        let query = ShardQuery(
            plan, view, places: [place..<(place + 1)], cohorts: cohorts.map { $0.noting(heavy) }, heavy: heavy)
        var found = ExplainScan(query)
        try GeneralScan(query).each(SliceQueue(query, size: 1), isCancelled) { history in
            try heavy.at(place) { whole.add(try found.match(history), time: history.events.time) }
        }
        let values = try query.userValues(plan.userProperties, place: place)
        var explanation: UserExplanation?
        let names = Set(view.eventNames().behaviour()).union(plan.events(of: [])).sorted()
        let rows = view.userRows(names, rowsMax: heavy.rowsMax)
        _ = try rows.each(in: place..<(place + 1), tooMany: { try heavy.meetCrowd($0) }) { rows in
            explanation = try found.explanation(rows, names, values)
            return true
        }
        // The user's events were not matched, so there is no other reason to give.
        if try !query.isMember(place) { explanation?.stopped = UserExplanation.Miss(position: 0, reason: .notInCohort) }
        return (whole, explanation)
    }

    private func isMember(_ place: Int) throws -> Bool {
        if cohorts.isEmpty { return true }
        let users = UserFlags(self)
        try users?.load(place..<(place + 1))
        return users?.members == [1]
    }
}

/// Explains one user: first the chosen attempt, then the events and attempts around it.
private struct ExplainScan {
    private let plan: FunnelPlan
    private let isCancelled: @Sendable () -> Bool
    private var outcome = UserOutcome()
    /// Events of the chosen attempt; nil for a step that was skipped.
    private var chosen: [RowRef?] = []
    private var attempts: [UserExplanation.Attempt] = []
    private var openUntil: Int64?

    /// Max number of instants whose attempts are each matched separately.
    private static let attemptsMax = 10_000

    init(_ query: ShardQuery) {
        plan = query.plan
        isCancelled = query.view.isCancelled
    }

    mutating func match(_ history: GeneralScan.History) throws -> UserOutcome {
        var matcher = RuleMatcher(plan, isCancelled: isCancelled)
        var outcomes: [UserOutcome] = []
        try matcher.match(history.events) { outcomes.append($0) }
        outcome = outcomes.first ?? UserOutcome()
        chosen = outcome.chain.map { $0 < 0 ? nil : history.row[$0] }
        try matchEach(&matcher, history)
        if outcome.openDepth > 0 { openUntil = try lastOpen(history) }
        return outcome
    }

    /// The last clock value, in microseconds, at which an attempt is open, for a user with an open attempt at `as_of`. A closed
    /// attempt stays closed, and its chain does not depend on `as_of`; so a binary search over `as_of` finds it.
    private func lastOpen(_ history: GeneralScan.History) throws -> Int64 {
        var open = plan.ticks(plan.asOf)
        // No window ends later.
        var closed = max(open, plan.ticks(history.events.time[history.events.time.count - 1]) + plan.window.count) + 1
        while closed - open > 1 {
            let middle = open + (closed - open) / 2
            let later = FunnelPlan(plan.definition, entryRange: plan.entryRange, asOf: middle * plan.tick)
            var matcher = RuleMatcher(later, isCancelled: isCancelled)
            var isOpen = false
            try matcher.match(history.events) { isOpen = $0.openDepth > 0 }
            if isOpen { open = middle } else { closed = middle }
        }
        return open * plan.tick
    }

    /// Matches each attempt separately; those that begin at one instant are one.
    private mutating func matchEach(_ matcher: inout RuleMatcher, _ history: GeneralScan.History) throws {
        let begins = plan.definition.order == .any ? StepSet.all : StepSet(only: 0)
        var starts: [Int64] = []
        for (time, mask) in zip(history.events.time, history.events.mask) {
            if !(mask & begins).isEmpty, plan.entryRange.contains(time), time != starts.last { starts.append(time) }
        }
        starts = Array(starts.prefix(Self.attemptsMax))
        guard let last = starts.last else { return }
        let own = outcome.chain.first.map { history.events.time[$0] }
        var others: [UserExplanation.Attempt] = []
        try matcher.match(history.events, bounds: starts + [last + 1]) { i, other in
            if other.depth == 0 || starts[i] == own { return }
            others.append(
                UserExplanation.Attempt(
                    time: starts[i], depth: other.depth, took: took(other, history), notChosen: notChosen(other, history)))
        }
        attempts = others
    }

    private func took(_ outcome: UserOutcome, _ history: GeneralScan.History) -> UInt64 {
        guard let first = outcome.chain.first, let last = outcome.chain.last else { return 0 }
        return UInt64(max(0, plan.ticks(history.events.time[last]) - plan.ticks(history.events.time[first])))
    }

    private func notChosen(_ other: UserOutcome, _ history: GeneralScan.History) -> UserExplanation.NotChosen {
        if outcome.depth == 0 { return .leftOut }
        if plan.definition.entry == .first { return .later }
        if other.depth < outcome.depth { return .shallower }
        func done(_ outcome: UserOutcome) -> Int { outcome.chain.count { $0 >= 0 } }
        if done(other) < done(outcome) { return .fewerOptional }
        return plan.definition.entry == .shortest && took(other, history) > took(outcome, history) ? .slower : .later
    }

    /// The explanation, after `match`.
    /// - Parameters:
    ///   - rows: all events of the user.
    ///   - values: the user properties that the plan's conditions read.
    func explanation(_ rows: UserRows, _ names: [ByteString], _ values: [ByteString: PropertyValue]) throws -> UserExplanation {
        let timeline = try Timeline(plan, rows, names, values, isCancelled: isCancelled)
        let chain = chosen.map { ref in ref.flatMap { timeline.row(of: $0) } ?? -1 }
        var explanation = UserExplanation()
        explanation.depth = outcome.depth
        for (row, at) in chain.enumerated() where at >= 0 {
            explanation.chosen.append(
                UserExplanation.Chosen(
                    position: outcome.positions.isEmpty ? row : outcome.positions[row], moment: timeline.moment(at),
                    properties: try rows.row(at).properties.map { .init($0.key, $0.value.canonical) }))
        }
        if outcome.depth < plan.steps {
            explanation.stopped = try NearestMiss(plan, timeline, chain: chain, positions: outcome.positions).find(isCancelled: isCancelled)
        }
        explanation.openUntil = openUntil
        explanation.attemptsInAll = attempts.count
        let deepest = attempts.sorted { ($1.depth, $0.time) < ($0.depth, $1.time) }.prefix(UserExplanation.attemptsShown)
        explanation.attempts = deepest.sorted { $0.time < $1.time }
        explanation.eventsInAll = timeline.count
        explanation.events = Self.around(chain.first, of: timeline.count).map {
            UserExplanation.Entry(moment: timeline.moment($0), positions: timeline.mask[$0].bits)
        }
        return explanation
    }

    /// The rows to show: a quarter before the attempt's first event, the rest from it on; without an attempt, the latest.
    private static func around(_ row: Int?, of count: Int) -> Range<Int> {
        let shown = UserExplanation.eventsShown
        let start = max(0, min(row.map { $0 - shown / 4 } ?? count, count - shown))
        return start..<min(count, start + shown)
    }
}

/// All events of one user in order, with the steps and exclusions that they match. Valid as long as the rows are.
struct Timeline {
    private let rows: UserRows
    private let values: [ByteString: PropertyValue]
    private(set) var names: [ByteString] = []
    private(set) var time: [Int64] = []
    /// By row: positions that admit the event's name.
    private(set) var admitted: [StepSet] = []
    /// Those of them whose conditions hold too.
    private(set) var mask: [StepSet] = []
    /// By row: exclusions that it matches.
    private(set) var excluded: [ExclusionSet] = []

    init(
        _ plan: FunnelPlan, _ rows: UserRows, _ names: [ByteString], _ values: [ByteString: PropertyValue], isCancelled: () -> Bool
    ) throws {
        self.rows = rows
        self.values = values
        for i in 0..<rows.count {
            if i % 1_024 == 0, isCancelled() { throw MatchError.cancelled }
            let name = names[rows.event(i)]
            let positions = plan.positions(ofEvent: name)
            self.names.append(name)
            time.append(rows.time(i))
            admitted.append(positions)
            mask.append(try plan.narrow(positions) { try property(i, $0) })
            let exclusions = plan.exclusions(ofEvent: name)
            excluded.append(try plan.narrowExclusions(exclusions) { try property(i, $0) })
        }
    }

    var count: Int { time.count }

    /// A property of the event, or `user.<name>`.
    func property(_ i: Int, _ key: ByteString) throws -> PropertyValue? {
        if let own = key.userPropertyName { return values[own] }
        return try rows.property(i, key)
    }

    func moment(_ i: Int) -> UserExplanation.Moment { UserExplanation.Moment(names[i], time[i]) }

    func row(of ref: RowRef) -> Int? { (0..<count).first { rows.ref($0) == ref } }
}

extension ShardQuery {
    /// Values of one user's properties; properties without a value are left out.
    fileprivate func userValues(_ properties: [ByteString], place: Int) throws -> [ByteString: PropertyValue] {
        if properties.isEmpty { return [:] }
        let column = UserColumns(view, properties, rowsMax: heavy.rowsMax)
        try column.load(place..<(place + 1))
        var found: [ByteString: PropertyValue] = [:]
        for (i, property) in properties.enumerated() {
            var known: [PropertyValue] = []
            let codes = try column.codes(i) { value in
                known.append(value)
                return Int32(known.count - 1)
            }
            if let code = codes.first, code != PropertyCodes.none { found[property] = known[Int(code)] }
        }
        return found
    }
}
