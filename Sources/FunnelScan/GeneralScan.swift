import FunnelMatch
import FunnelModel
import FunnelStorage

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

    private let plan: FunnelPlan
    private let snapshot: Snapshot

    init(_ scan: FunnelScan) {
        plan = scan.plan
        snapshot = scan.snapshot
    }

    /// - Parameter body: told each unit that entered: its user, and what became of it.
    func run(_ queue: SliceQueue, _ isCancelled: () -> Bool, _ body: (History, UserOutcome) throws -> Void) throws {
        var matcher = HistoryMatcher(plan)
        var outcomes: [UserOutcome] = []
        try each(queue, isCancelled) { history in
            outcomes.removeAll(keepingCapacity: true)
            try matcher.match(history.events, isCancelled: isCancelled) { outcomes.append($0) }
            for outcome in outcomes { try body(history, outcome) }
        }
    }

    /// - Parameter body: told each user with an event of the funnel. It holds during the call alone.
    func each(_ queue: SliceQueue, _ isCancelled: () -> Bool, _ body: (History) throws -> Void) throws {
        guard plan.userProperties.isEmpty else { throw MatchError.notPlain }
        let names = plan.events ?? snapshot.eventNames()
        let positions = names.map { plan.positions(ofEvent: $0) }
        let exclusions = names.map { plan.exclusions(ofEvent: $0) }
        var history = History()
        let scan = snapshot.rowScan(plan.events)
        while let slice = queue.next() {
            if isCancelled() { throw MatchError.cancelled }
            _ = try scan.each(in: slice) { user in
                try load(user, positions, exclusions, &history)
                if !history.row.isEmpty { try body(history) }
                return true
            }
        }
    }

    private func load(_ user: UserRows, _ positions: [UInt64], _ exclusions: [UInt64], _ history: inout History) throws {
        history.place = user.place
        history.events = UserHistory(time: [], mask: [], held: plan.heldProperties.map { _ in [] })
        history.row.removeAll(keepingCapacity: true)
        var codes: [PropertyValue: Int32] = [:]
        for row in 0..<user.count {
            let mask = try plan.narrow(positions[user.event(row)]) { try user.property(row, $0) }
            let excluded = try plan.narrowExclusions(exclusions[user.event(row)]) { try user.property(row, $0) }
            if mask | excluded == 0, !plan.needsEveryEvent { continue }
            func code(_ property: ByteString) throws -> Int32 {
                guard let value = try user.property(row, property)?.canonical else { return -1 }
                let code = codes[value] ?? Int32(codes.count)
                codes[value] = code
                return code
            }
            history.events.time.append(user.time(row))
            history.events.mask.append(mask)
            if !plan.exclusions.isEmpty { history.events.excluded.append(excluded) }
            for (i, property) in plan.heldProperties.enumerated() { history.events.held[i].append(try code(property)) }
            if let property = plan.unitProperty { history.events.unit.append(try code(property)) }
            history.row.append(user.ref(row))
        }
    }
}
