import FunnelMatch

/// The matcher that knows a plan's rules.
struct HistoryMatcher: Sendable {
    private var plain: UserMatcher?
    private var rules: RuleMatcher?

    init(_ plan: FunnelPlan) {
        if plan.isPlain { plain = UserMatcher(plan) } else { rules = RuleMatcher(plan) }
    }

    /// - Parameter body: told the outcome of each unit that entered.
    mutating func match(
        _ events: UserHistory, isCancelled: () -> Bool, body: (UserOutcome) -> Void
    ) throws(MatchError) {
        try rules?.match(events, isCancelled: isCancelled, body: body)
        guard let outcome = try plain?.match(time: events.time, mask: events.mask, isCancelled: isCancelled) else { return }
        if outcome.depth > 0 { body(outcome) }
    }

    /// The same for each of some adjoining entry ranges: range b is `bounds[b]..<bounds[b + 1]`.
    mutating func match(
        _ events: UserHistory, bounds: [Int64], isCancelled: () -> Bool, body: (Int, UserOutcome) -> Void
    ) throws(MatchError) {
        try rules?.match(events, bounds: bounds, isCancelled: isCancelled, body: body)
        try plain?.match(time: events.time, mask: events.mask, bounds: bounds, isCancelled: isCancelled, body: body)
    }
}
