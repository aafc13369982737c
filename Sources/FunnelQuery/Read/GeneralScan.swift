import EventStorage
import FunnelMatch
import FunnelModel

/// Matches user by user under any rules: gathers each user's rows in order of time and passes them to the matcher.
struct GeneralScan {
    static let slicePlaces = 1_024

    /// The events of one user that the plan asks for.
    struct History {
        var place = 0
        var events = UserHistory(time: [], mask: [])
        /// The row of each event.
        var row: [RowRef] = []
    }

    private let query: ShardQuery
    private let starting: StepSet?
    private let looksAtRows: Bool

    /// A scan of a query's users.
    /// - Parameters:
    ///   - starting: positions whose events may start an attempt; nil means those of the plan's order.
    ///   - looksAtRows: whether the caller reads more of the chosen rows than their times.
    init(_ query: ShardQuery, starting: StepSet? = nil, looksAtRows: Bool = true) {
        self.query = query
        self.starting = starting
        self.looksAtRows = looksAtRows
    }

    /// Matches all users of the queue's slices.
    /// - Parameters:
    ///   - begin: called with each slice before its users.
    ///   - body: called with each unit that entered: the history of its user, and its outcome.
    func run(
        _ queue: SliceQueue, _ isCancelled: () -> Bool, begin: (Range<Int>) throws -> Void = { _ in },
        _ body: (History, UserOutcome) throws -> Void
    ) throws {
        var matcher = RuleMatcher(query.plan, isCancelled: query.view.isCancelled)
        try each(queue, isCancelled, begin: begin) { history in
            // Passed on one at a time, since a user may have millions of attempts.
            var failure: (any Error)?
            try query.heavy.at(history.place) {
                try matcher.match(history.events) { outcome in
                    if failure != nil { return }
                    do { try body(history, outcome) } catch { failure = error }
                }
            }
            if let failure { throw failure }
        }
    }

    /// Reads all users of the queue's slices, without matching.
    /// - Parameter body: called with each user who has an event that may start an attempt; the history is valid during the call
    ///   only.
    func each(
        _ queue: SliceQueue, _ isCancelled: () -> Bool, begin: (Range<Int>) throws -> Void = { _ in }, _ body: (History) throws -> Void
    ) throws {
        let reader = HistoryReader(query, starting: starting, ordersTies: looksAtRows)
        var history = History()
        try queue.each(isCancelled) { slice in
            try begin(slice)
            reader.load(slice)
            while try reader.next(&history) { try body(history) }
        }
    }
}
