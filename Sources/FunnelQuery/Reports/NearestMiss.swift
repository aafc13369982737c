import FunnelMatch
import FunnelModel

/// Finds why an attempt has no next step: the nearest miss, of the events that a next step admits by name (`FUNNEL.md` section
/// 6, "One user explained").
struct NearestMiss {
    private let plan: FunnelPlan
    private let timeline: Timeline
    /// Rows of the timeline by step; -1 is a skipped step. In any order, by order of time.
    private let chain: [Int]
    /// Positions of the possible next steps: the next required one, or in any order all that are left.
    private let wanted: [Int]
    /// The row of the last matched step; nil without an attempt.
    private let last: Int?
    /// The position that the attempt's first event fills.
    private let begins: Int

    init(_ plan: FunnelPlan, _ timeline: Timeline, chain: [Int], positions: [Int]) {
        self.plan = plan
        self.timeline = timeline
        self.chain = chain
        last = chain.last { $0 >= 0 }
        begins = positions.first ?? 0
        if plan.definition.order == .any {
            wanted = (0..<plan.steps).filter { !positions.contains($0) }
        } else {
            // Nobody stops at an optional step.
            wanted = [(chain.count..<plan.steps).first { !plan.optional.contains($0) } ?? plan.steps - 1]
        }
    }

    private typealias Miss = UserExplanation.Miss

    /// Rank of a candidate, an event tested for a step; the smallest is the nearest miss. By the number of rules it fails, then
    /// its distance from the last matched event, then canonical order.
    private struct Rank: Comparable {
        var failed: Int
        /// Ticks times 2, plus 1 for an event before the last matched one.
        var distance: Int64
        var row: Int
        var position: Int

        static func < (a: Rank, b: Rank) -> Bool {
            (a.failed, a.distance, a.row, a.position) < (b.failed, b.distance, b.row, b.position)
        }
    }

    /// The nearest miss, with the first rule that it fails.
    /// - Parameter isCancelled: called before each candidate, since testing one may read all events.
    func find(isCancelled: () -> Bool) throws -> UserExplanation.Miss {
        var nearest: (rank: Rank, miss: Miss)?
        for position in wanted {
            for row in 0..<timeline.count where timeline.admitted[row].contains(position) && isNear(row) {
                if isCancelled() { throw MatchError.cancelled }
                let failed = try failures(row, position)
                guard let first = failed.first else {
                    // An event that fails no rule could begin an attempt, so the user is left out.
                    if last == nil { return Miss(position: position, reason: .leftOut) }
                    continue
                }
                let distance = last.map { abs(sec(row) - sec($0)) } ?? 0
                // Of two at the same distance, the later one.
                let rank = Rank(
                    failed: failed.count, distance: 2 * distance + (last.map { row < $0 ? 1 : 0 } ?? 0), row: row, position: position)
                if nearest.map({ rank < $0.rank }) ?? true { nearest = (rank, first) }
            }
        }
        return nearest?.miss ?? Miss(position: wanted.first ?? 0, reason: .noEvent)
    }

    private func sec(_ row: Int) -> Int64 { plan.ticks(timeline.time[row]) }

    /// Events before step 1 by more than the window cannot belong to the attempt.
    private func isNear(_ row: Int) -> Bool {
        guard let first = chain.first else { return true }
        return sec(row) >= sec(first) - plan.window.count
    }

    /// The rules that an event fails as that step, in the order of the tests.
    private func failures(_ row: Int, _ position: Int) throws -> [Miss] {
        func miss(_ reason: UserExplanation.Reason) -> Miss {
            Miss(position: position, reason: reason, candidate: timeline.moment(row))
        }
        var found: [Miss] = []
        if !timeline.mask[row].contains(position) {
            var condition = miss(.condition)
            let filters = plan.definition.steps[position].filters
            condition.property = try filters.first { !$0.accepts(try timeline.property(row, $0.property)) }?.property ?? ""
            found.append(condition)
        }
        if let held = try failedHeld(row, position) {
            var other = miss(.held)
            other.property = held
            found.append(other)
        }
        guard let last, let first = chain.first else {
            if !plan.entryRange.contains(timeline.time[row]) { found.append(miss(.range)) }
            return found
        }
        if chain.contains(row) { found.append(miss(.used)) }
        let previous = plan.definition.order == .any ? first : last
        if let reason = failureOfOrder(ahead: sec(previous) - sec(row)) {
            var early = miss(reason)
            early.distance = UInt64(max(0, timeline.time[previous] - timeline.time[row]))
            found.append(early)
        }
        func check(_ window: Int64, from base: Int, _ reason: UserExplanation.Reason) {
            let over = sec(row) - sec(base) - window
            if over <= 0 { return }
            var late = miss(reason)
            late.distance = UInt64(over) * UInt64(plan.tick)
            found.append(late)
        }
        check(plan.window.count, from: plan.definition.anchor == .firstStep ? first : last, .window)
        if let window = plan.stepWindow[position] { check(window.count, from: last, .stepWindow) }
        func check(_ blocker: Int?, _ reason: UserExplanation.Reason) {
            guard let blocker else { return }
            var blocked = miss(reason)
            blocked.blocker = timeline.moment(blocker)
            found.append(blocked)
        }
        check(between(last, row, position), .between)
        check(excluding(row, position), .excluded)
        return found
    }

    /// The first held property that the event lacks, or has with a value other than that of step 1.
    private func failedHeld(_ row: Int, _ position: Int) throws -> ByteString? {
        try plan.definition.held.first { held in
            guard let value = try timeline.property(row, held.name(atStep: position))?.canonical else { return true }
            guard let first = chain.first else { return false }
            return try timeline.property(first, held.name(atStep: begins))?.canonical != value
        }?.name(atStep: position)
    }

    /// The rule of order that an event fails, if any.
    /// - Parameter ahead: ticks from the event to the one that it should follow.
    private func failureOfOrder(ahead: Int64) -> UserExplanation.Reason? {
        switch plan.definition.order {
        case .sequential, .strict: ahead < 0 ? nil : ahead == 0 ? .sameTime : .order
        case .flexible: ahead < plan.slack.count ? nil : .order
        case .any: ahead <= 0 ? nil : .order
        }
    }

    /// In strict order, the first event between the two that fills neither step.
    private func between(_ previous: Int, _ row: Int, _ position: Int) -> Int? {
        guard plan.definition.order == .strict else { return nil }
        let steps = StepSet(only: position - 1) | StepSet(only: position)
        return (0..<timeline.count).first {
            (timeline.mask[$0] & steps).isEmpty && sec(previous) < sec($0) && sec($0) < sec(row)
        }
    }

    /// The first excluded event that would break the chain with this event at its end.
    private func excluding(_ row: Int, _ position: Int) -> Int? {
        if plan.exclusions.isEmpty { return nil }
        var whole = chain + [Int](repeating: -1, count: max(0, position - chain.count)) + [row]
        if plan.definition.order == .any { whole = (chain + [row]).sorted { sec($0) < sec($1) } }
        let deepest = whole.count - 1
        for (e, exclusion) in plan.exclusions.enumerated() where deepest > exclusion.after {
            // If step `after` was skipped, the last one done before it counts; if `before`, the first one done after it.
            let from = (0...exclusion.after).last { whole[$0] >= 0 } ?? 0
            let through = (min(exclusion.before, deepest)...deepest).first { whole[$0] >= 0 } ?? deepest
            let steps = whole[min(from, through)...through].filter { $0 >= 0 }.map(sec)
            let found = (0..<timeline.count).first { x in
                timeline.excluded[x].contains(e) && sec(whole[from]) < sec(x) && sec(x) < sec(whole[through])
                    && !steps.contains(sec(x))
            }
            if let found { return found }
        }
        return nil
    }
}
