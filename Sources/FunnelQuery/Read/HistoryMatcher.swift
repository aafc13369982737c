import EventStorage
import FunnelMatch

/// The matcher that knows a plan's rules.
struct HistoryMatcher: Sendable {
    private var plain: UserMatcher?
    private var rules: RuleMatcher?

    init(_ query: ShardQuery) { self.init(query.plan, isCancelled: query.view.isCancelled) }

    init(_ plan: FunnelPlan, isCancelled: @escaping @Sendable () -> Bool) {
        if plan.isPlain {
            plain = UserMatcher(plan, isCancelled: isCancelled)
        } else {
            rules = RuleMatcher(plan, isCancelled: isCancelled)
        }
    }

    /// - Parameter body: told the outcome of each unit that entered.
    mutating func match(_ events: UserHistory, body: (UserOutcome) -> Void) throws(MatchError) {
        try rules?.match(events, body: body)
        guard let outcome = try plain?.match(time: events.time, mask: events.mask) else { return }
        if outcome.depth > 0 { body(outcome) }
    }

    /// The same for each of some adjoining entry ranges: range b is `bounds[b]..<bounds[b + 1]`.
    mutating func match(
        _ events: UserHistory, bounds: [Int64], body: (Int, UserOutcome) -> Void
    ) throws(MatchError) {
        try rules?.match(events, bounds: bounds, body: body)
        try plain?.match(time: events.time, mask: events.mask, bounds: bounds, body: body)
    }
}
