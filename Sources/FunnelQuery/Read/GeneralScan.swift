import EventStorage
import FunnelMatch
import FunnelModel

/// Matches user by user, whatever the rules: gathers each user's rows in order of time and hands them to the matcher.
struct GeneralScan {
    static let slicePlaces = 1_024

    /// What the plan asks for of one user.
    struct History {
        var place = 0
        var events = UserHistory(time: [], mask: [])
        /// Where each of the events stands.
        var row: [RowRef] = []
    }

    private let query: ShardQuery
    private let starting: UInt64?
    private let looksAtRows: Bool

    /// - Parameters:
    ///   - starting: steps whose events may start an attempt, as bits; nil is as the order has it.
    ///   - looksAtRows: whether more than the times of chosen rows is looked at.
    init(_ query: ShardQuery, starting: UInt64? = nil, looksAtRows: Bool = true) {
        self.query = query
        self.starting = starting
        self.looksAtRows = looksAtRows
    }

    /// - Parameters:
    ///   - begin: told each slice first.
    ///   - body: told each unit that entered: its user, and what became of it.
    func run(
        _ queue: SliceQueue, _ isCancelled: () -> Bool, begin: (Range<Int>) throws -> Void = { _ in },
        _ body: (History, UserOutcome) throws -> Void
    ) throws {
        var matcher = HistoryMatcher(query)
        try each(queue, isCancelled, begin: begin) { history in
            // One by one, since a user may have millions of attempts.
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

    /// - Parameter body: told each user with an event that may start an attempt. It holds during the call alone.
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
