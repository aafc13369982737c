/// Decides when one connection gets its receive window back.
///
/// Body bytes are credited as they arrive, except while complete requests that nobody has answered hold more than the
/// limit: then credit is withheld until they fall below half, and a slow service slows its producers. Requests that are
/// still arriving cannot deadlock this: the answers of complete ones release them.
struct ServerBacklog {
    private let limit: Int
    private(set) var unanswered = 0
    private(set) var withheld = 0
    private(set) var isHolding = false

    init(limit: Int) {
        self.limit = limit
    }

    /// Bytes came in; the result is to be credited now.
    mutating func arrived(_ bytes: Int) -> Int {
        guard isHolding else { return bytes }
        withheld += bytes
        return 0
    }

    /// A request is complete and goes to the service.
    mutating func completed(_ bytes: Int) {
        unanswered += bytes
        if unanswered > limit { isHolding = true }
    }

    /// A call is over; the result is to be credited now.
    mutating func answered(_ bytes: Int) -> Int {
        unanswered -= bytes
        guard isHolding, unanswered <= limit / 2 else { return 0 }
        isHolding = false
        defer { withheld = 0 }
        return withheld
    }
}
