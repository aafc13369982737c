import FunnelMatch
import FunnelModel
import FunnelProtocol
import FunnelStorage

/// Runs one funnel over a snapshot: reads the steps' events user by user and matches them.
struct FunnelScan: Sendable {
    private let plan: FunnelPlan
    private let snapshot: Snapshot<POSIXFileSystem>
    private let keep: (@Sendable (ByteString) -> Bool)?

    /// - Parameters:
    ///   - wanted: buckets to answer for; nil is all that the shard has.
    init(_ query: PartialQuery, snapshot: Snapshot<POSIXFileSystem>, wanted: [Range<Int>]?) {
        plan = FunnelPlan(query.definition, entryRange: query.entryRange, asOf: query.asOf)
        self.snapshot = snapshot
        keep = wanted.map { ranges in
            { @Sendable user in
                let bucket = XXH64.bucket(ofUser: user)
                return ranges.contains { $0.contains(bucket) }
            }
        }
    }

    func counts(_ query: PartialQuery, isCancelled: () -> Bool) throws -> PartialResult {
        var tally = FunnelTally(plan, times: query.times, buckets: query.buckets)
        try eachUser(after: nil, isCancelled: isCancelled) { _, outcome, time in
            tally.add(outcome, time: time)
            return true
        }
        return tally.finish(newestEvent: snapshot.newestTime)
    }

    /// The first `limit` users of a list, in byte order.
    func users(_ query: PartialUsersQuery, isCancelled: () -> Bool) throws -> [ByteString] {
        var users: [ByteString] = []
        let after = query.after.isEmpty ? nil : query.after
        try eachUser(after: after, isCancelled: isCancelled) { user, outcome, _ in
            if query.outcome.includes(depth: outcome.depth, step: query.step, of: plan.steps) { users.append(user) }
            return users.count < query.limit
        }
        return users
    }

    private func eachUser(
        after: ByteString?, isCancelled: () -> Bool, _ body: (ByteString, UserOutcome, [Int64]) -> Bool
    ) throws {
        let names = plan.events ?? snapshot.eventNames()
        let masks = names.map { plan.positions(ofEvent: $0) }
        var matcher = UserMatcher(plan)
        var time: [Int64] = []
        var mask: [UInt64] = []
        do {
            try snapshot.scan(
                events: plan.events, properties: plan.readsProperties, after: after, keep: keep, isCancelled: isCancelled
            ) { user in
                time.removeAll(keepingCapacity: true)
                mask.removeAll(keepingCapacity: true)
                for row in 0..<user.count {
                    var positions = masks[user.event(row)]
                    if plan.readsProperties { positions = plan.narrow(positions) { user.property(row, $0) } }
                    if positions == 0 { continue }
                    time.append(user.time(row))
                    mask.append(positions)
                }
                return body(user.user, try matcher.match(time: time, mask: mask, isCancelled: isCancelled), time)
            }
        } catch MatchError.workBudget(let limit) {
            throw ProtocolError(.workBudget, "a user's history needs more than \(limit) steps of work under these rules: narrow the window, the limit or the repeated steps")
        } catch MatchError.cancelled {
            throw ProtocolError(.cancelled, "the caller gave up")
        } catch let error as StoreError {
            throw GroupAppender.translate(error)
        }
    }
}
