import FunnelMatch
import FunnelModel
import FunnelStorage

/// Matches user by user, whatever the rules: gathers each user's rows in order of time and hands them to `UserMatcher`.
struct GeneralScan {
    static let slicePlaces = 1_024

    /// The rows of one user that can fill a step, in order of time.
    struct History {
        var place = 0
        /// Microseconds.
        var time: [Int64] = []
        /// Positions that each row can fill, as bits.
        var mask: [UInt64] = []
        /// Indexes in the scan's rows of the user.
        var row: [Int] = []
    }

    private let plan: FunnelPlan
    private let snapshot: Snapshot

    init(_ scan: FunnelScan) {
        plan = scan.plan
        snapshot = scan.snapshot
    }

    /// - Parameter body: told the place of each user with a row of the funnel, what became of the user, and the times of
    ///   the rows, to which the outcome's chain refers.
    func run(
        _ queue: SliceQueue, _ isCancelled: () -> Bool, _ body: (Int, UserOutcome, [Int64]) throws -> Void
    ) throws {
        var matcher = UserMatcher(plan)
        try each(queue, isCancelled) { history, _ in
            try body(history.place, try matcher.match(time: history.time, mask: history.mask, isCancelled: isCancelled), history.time)
        }
    }

    /// - Parameter body: told each user with a row of the funnel. Both hold during the call alone.
    func each(_ queue: SliceQueue, _ isCancelled: () -> Bool, _ body: (History, UserRows) throws -> Void) throws {
        let names = plan.events ?? snapshot.eventNames()
        let masks = names.map { plan.positions(ofEvent: $0) }
        var history = History()
        let scan = snapshot.rowScan(plan.events)
        while let slice = queue.next() {
            if isCancelled() { throw MatchError.cancelled }
            _ = try scan.each(in: slice) { user in
                history.place = user.place
                history.time.removeAll(keepingCapacity: true)
                history.mask.removeAll(keepingCapacity: true)
                history.row.removeAll(keepingCapacity: true)
                for row in 0..<user.count {
                    var positions = masks[user.event(row)]
                    if plan.readsProperties { positions = try plan.narrow(positions) { try user.property(row, $0) } }
                    if positions == 0 { continue }
                    history.time.append(user.time(row))
                    history.mask.append(positions)
                    history.row.append(row)
                }
                if !history.time.isEmpty { try body(history, user) }
                return true
            }
        }
    }
}
