/// What a search may cost one user, and whether anybody still waits for it.
struct WorkBudget: Sendable {
    let limit: Int
    private let isCancelled: @Sendable () -> Bool
    private var used = 0
    /// Steps until it is asked again.
    private var left = Self.interval

    /// Steps between two looks at whether the caller still waits, and whether it is others' turn: at most a millisecond of a
    /// search.
    private static let interval = 1 << 13

    init(limit: Int, isCancelled: @escaping @Sendable () -> Bool) {
        self.limit = limit
        self.isCancelled = isCancelled
    }

    mutating func reset() { used = 0 }

    /// Counts visits that led nowhere.
    mutating func spend(_ visits: Int) throws(MatchError) {
        used += visits
        if used > limit { throw MatchError.workBudget(limit: limit) }
        try pass(visits)
    }

    /// Notes steps that are made anyway: they cost nothing, but a caller who gave up is noticed within them.
    mutating func pass(_ steps: Int) throws(MatchError) {
        left -= steps
        if left > 0 { return }
        left = Self.interval
        if isCancelled() { throw MatchError.cancelled }
    }
}
