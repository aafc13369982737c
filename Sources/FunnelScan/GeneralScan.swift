import FunnelMatch
import FunnelModel
import FunnelStorage

/// Matches user by user, whatever the rules: gathers each user's rows in order of time and hands them to `UserMatcher`.
struct GeneralScan {
    static let slicePlaces = 1_024

    private let plan: FunnelPlan
    private let snapshot: Snapshot

    init(_ scan: FunnelScan) {
        plan = scan.plan
        snapshot = scan.snapshot
    }

    /// - Parameter body: told the place of each user with a row of the funnel, what became of the user, and the times of
    ///   the rows, to which the outcome's chain refers.
    func run(_ queue: SliceQueue, _ isCancelled: () -> Bool, _ body: (Int, UserOutcome, [Int64]) -> Void) throws {
        let names = plan.events ?? snapshot.eventNames()
        let masks = names.map { plan.positions(ofEvent: $0) }
        var matcher = UserMatcher(plan)
        var time: [Int64] = []
        var mask: [UInt64] = []
        let scan = snapshot.rowScan(plan.events)
        while let slice = queue.next() {
            if isCancelled() { throw MatchError.cancelled }
            _ = try scan.each(in: slice) { user in
                time.removeAll(keepingCapacity: true)
                mask.removeAll(keepingCapacity: true)
                for row in 0..<user.count {
                    var positions = masks[user.event(row)]
                    if plan.readsProperties { positions = try plan.narrow(positions) { try user.property(row, $0) } }
                    if positions == 0 { continue }
                    time.append(user.time(row))
                    mask.append(positions)
                }
                if !time.isEmpty { body(user.place, try matcher.match(time: time, mask: mask, isCancelled: isCancelled), time) }
                return true
            }
        }
    }
}
