/// What a search may cost one user.
struct WorkBudget: Sendable {
    let limit: Int
    private var used = 0

    init(limit: Int) { self.limit = limit }

    mutating func reset() { used = 0 }

    mutating func spend(_ visits: Int) throws(MatchError) {
        used += visits
        if used > limit { throw MatchError.workBudget(limit: limit) }
    }
}
