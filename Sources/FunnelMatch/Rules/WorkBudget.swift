/// The work that a search for one user may take, and the check whether the query was cancelled.
struct WorkBudget: Sendable {
    let limit: Int
    private let isCancelled: @Sendable () -> Bool
    private var used = 0
    /// Steps until the next check.
    private var left = Self.interval

    /// Steps between two calls of `isCancelled`, which also lets other queries take their turn: at most a millisecond of a
    /// search.
    private static let interval = 1 << 13

    init(limit: Int, isCancelled: @escaping @Sendable () -> Bool) {
        self.limit = limit
        self.isCancelled = isCancelled
    }

    mutating func reset() { used = 0 }

    /// Counts visits toward the limit.
    /// - Throws: `MatchError.workBudget` over the limit, `.cancelled`.
    mutating func spend(_ visits: Int) throws(MatchError) {
        used += visits
        if used > limit { throw MatchError.workBudget(limit: limit) }
        try pass(visits)
    }

    /// Notes steps that do not count toward the limit, so that a cancelled query ends during them.
    /// - Throws: `MatchError.cancelled`.
    mutating func pass(_ steps: Int) throws(MatchError) {
        left -= steps
        if left > 0 { return }
        left = Self.interval
        if isCancelled() { throw MatchError.cancelled }
    }
}
