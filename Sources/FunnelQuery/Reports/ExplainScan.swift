import EventStorage
import FunnelMatch
import FunnelModel

extension ShardQuery {
    /// What the funnel makes of one user, by the matcher that counts.
    /// - Returns: the user's counts, and why they are so; nil where the user has no events here.
    /// - Throws: `MatchError`, `.notUsers` where other units are counted; `HeavyUser`, whatever becomes of such users elsewhere;
    ///   `StoreError`.
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
        let rows = view.userRows(nil, rowsMax: heavy.rowsMax)
        _ = try rows.each(in: place..<(place + 1), tooMany: { try heavy.meetCrowd($0) }) { rows in
            explanation = try found.explanation(rows, view.eventNames(), values)
            return true
        }
        // The user's events were not matched, so nothing else can be told.
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

/// Explains one user: first what the matcher chose, then what lies around it.
private struct ExplainScan {
    private let plan: FunnelPlan
    private let isCancelled: @Sendable () -> Bool
    private var outcome = UserOutcome()
    /// By row of the chosen attempt; nil for a step that was skipped.
    private var chosen: [RowRef?] = []
    private var attempts: [UserExplanation.Attempt] = []
    private var openUntil: Int64?

    /// Attempts that are matched by themselves.
    private static let attemptsMax = 10_000

    init(_ query: ShardQuery) {
        plan = query.plan
        isCancelled = query.view.isCancelled
    }

    mutating func match(_ history: GeneralScan.History) throws -> UserOutcome {
        var matcher = HistoryMatcher(plan, isCancelled: isCancelled)
        var outcomes: [UserOutcome] = []
        try matcher.match(history.events) { outcomes.append($0) }
        outcome = outcomes.first ?? UserOutcome()
        chosen = outcome.chain.map { $0 < 0 ? nil : history.row[$0] }
        try matchEach(&matcher, history)
        if outcome.openDepth > 0 { openUntil = try lastOpen(history) }
        return outcome
    }

    /// The last clock value, in microseconds, at which an attempt can still go on, of a user who can at `as_of`. An attempt that is
    /// closed stays so, and its chain does not depend on `as_of`: so the last one is found by halving.
    private func lastOpen(_ history: GeneralScan.History) throws -> Int64 {
        var open = plan.ticks(plan.asOf)
        // No window reaches further.
        var closed = max(open, plan.ticks(history.events.time[history.events.time.count - 1]) + plan.window) + 1
        while closed - open > 1 {
            let middle = open + (closed - open) / 2
            let later = FunnelPlan(plan.definition, entryRange: plan.entryRange, asOf: middle * plan.tick)
            var matcher = HistoryMatcher(later, isCancelled: isCancelled)
            var isOpen = false
            try matcher.match(history.events) { isOpen = $0.openDepth > 0 }
            if isOpen { open = middle } else { closed = middle }
        }
        return open * plan.tick
    }

    /// Every attempt by itself: all that begin at one instant are one.
    private mutating func matchEach(_ matcher: inout HistoryMatcher, _ history: GeneralScan.History) throws {
        let begins: UInt64 = plan.definition.order == .any ? .max : 1
        var starts: [Int64] = []
        for (time, mask) in zip(history.events.time, history.events.mask) {
            if mask & begins != 0, plan.entryRange.contains(time), time != starts.last { starts.append(time) }
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

    /// - Parameter rows: all events of the user.
    /// - Parameter values: of the user's own properties that the plan asks for.
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
            UserExplanation.Entry(moment: timeline.moment($0), positions: timeline.mask[$0])
        }
        return explanation
    }

    /// Some before the attempt and more from there on; the latest of a user without one.
    private static func around(_ row: Int?, of count: Int) -> Range<Int> {
        let shown = UserExplanation.eventsShown
        let start = max(0, min(row.map { $0 - shown / 4 } ?? count, count - shown))
        return start..<min(count, start + shown)
    }
}

/// All events of one user in order, and what the plan admits them to. Holds as long as the rows do.
struct Timeline {
    private let rows: UserRows
    private let values: [ByteString: PropertyValue]
    private(set) var names: [ByteString] = []
    private(set) var time: [Int64] = []
    /// Positions that a row's name admits it to, and those whose conditions hold too.
    private(set) var admitted: [UInt64] = []
    private(set) var mask: [UInt64] = []
    /// Exclusions that a row matches.
    private(set) var excluded: [UInt64] = []

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
            mask.append(positions == 0 ? 0 : try plan.narrow(positions) { try property(i, $0) })
            let exclusions = plan.exclusions(ofEvent: name)
            excluded.append(exclusions == 0 ? 0 : try plan.narrowExclusions(exclusions) { try property(i, $0) })
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
    /// Values of properties of one user; those that the user does not have are left out.
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
