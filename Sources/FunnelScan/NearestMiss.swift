import FunnelMatch
import FunnelModel

/// Finds why an attempt has no next step: of the events that could be one by their name, the one that came nearest
/// (`Protocol/FUNNEL.md`, section 6).
struct NearestMiss {
    private let plan: FunnelPlan
    private let timeline: Timeline
    /// Rows of the timeline by step; -1 is a step that was skipped. In any order, as they came.
    private let chain: [Int]
    /// Positions of the steps that could be next, as bits, and the one that is named.
    private let wanted: UInt64
    private let position: Int
    /// The last matched step's row, and the position of the first.
    private let last: Int?
    private let begins: Int

    init(_ plan: FunnelPlan, _ timeline: Timeline, chain: [Int], positions: [Int]) {
        self.plan = plan
        self.timeline = timeline
        self.chain = chain
        last = chain.last { $0 >= 0 }
        begins = positions.first ?? 0
        if plan.definition.order == .any {
            let all = UInt64.max >> UInt64(64 - plan.steps)
            wanted = positions.reduce(all) { $0 & ~(1 << UInt64($1)) }
            position = wanted.trailingZeroBitCount
        } else {
            // An optional step that is not done stops nobody.
            position = (chain.count..<plan.steps).first { plan.optional >> UInt64($0) & 1 == 0 } ?? plan.steps - 1
            wanted = 1 << UInt64(position)
        }
    }

    private typealias Miss = UserExplanation.Miss

    /// A candidate is judged by how many rules it fails, then by its distance from the last matched step on the clock, then
    /// by its order.
    private struct Rank: Comparable {
        var failed: Int
        var distance: Int64
        var row: Int

        static func < (a: Rank, b: Rank) -> Bool { (a.failed, a.distance, a.row) < (b.failed, b.distance, b.row) }
    }

    func find() throws -> UserExplanation.Miss {
        var nearest: (rank: Rank, miss: Miss)?
        for row in 0..<timeline.count where timeline.admitted[row] & wanted != 0 {
            guard isNear(row) else { continue }
            let failed = try last == nil ? failuresToEnter(row) : failures(row)
            guard let first = failed.first else { continue }
            let distance = last.map { abs(sec(row) - sec($0)) } ?? 0
            // Of two that are as far, the later one.
            let rank = Rank(failed: failed.count, distance: 2 * distance + (last.map { row < $0 ? 1 : 0 } ?? 0), row: row)
            if nearest.map({ rank < $0.rank }) ?? true { nearest = (rank, first) }
        }
        if let nearest { return nearest.miss }
        // Without an attempt, a step-1 event that fails nothing begins one, unless the user is left out.
        let canEnter = last == nil && timeline.admitted.contains { $0 & wanted != 0 }
        return Miss(position: position, reason: canEnter ? .leftOut : .noEvent)
    }

    private func sec(_ row: Int) -> Int64 { plan.ticks(timeline.time[row]) }

    /// Events that lie further before step 1 than the window is long have nothing to do with the attempt.
    private func isNear(_ row: Int) -> Bool {
        guard let first = chain.first else { return true }
        return sec(row) >= sec(first) - plan.window
    }

    private func miss(_ reason: UserExplanation.Reason, _ row: Int) -> Miss {
        let own = plan.definition.order == .any ? (timeline.admitted[row] & wanted).trailingZeroBitCount : position
        return Miss(position: own, reason: reason, candidate: timeline.moment(row))
    }

    private func failuresToEnter(_ row: Int) throws -> [Miss] {
        var found = try failuresOfProperties(row)
        if !plan.entryRange.contains(timeline.time[row]) { found.append(miss(.range, row)) }
        return found
    }

    private func failures(_ row: Int) throws -> [Miss] {
        guard let last, let first = chain.first else { return [] }
        var found = try failuresOfProperties(row)
        if chain.contains(row) { found.append(miss(.used, row)) }
        if let order = failureOfOrder(row, after: plan.definition.order == .any ? first : last) { found.append(order) }
        let base = plan.definition.anchor == .firstStep ? first : last
        if let late = tooLate(row, base, plan.window, .window) { found.append(late) }
        if let window = plan.stepWindow[position], let late = tooLate(row, last, window, .stepWindow) { found.append(late) }
        if let blocker = between(last, row) { found.append(blocked(.between, row, by: blocker)) }
        if let blocker = excluding(row) { found.append(blocked(.excluded, row, by: blocker)) }
        return found
    }

    private func failuresOfProperties(_ row: Int) throws -> [Miss] {
        var found: [Miss] = []
        let position = miss(.held, row).position
        if timeline.mask[row] & wanted == 0 {
            var condition = miss(.condition, row)
            let filters = plan.definition.steps[position].filters
            condition.property = try filters.first { !$0.accepts(try timeline.property(row, $0.property)) }?.property ?? ""
            found.append(condition)
        }
        for held in plan.definition.held {
            let name = held.name(atStep: position)
            let value = try timeline.property(row, name)?.canonical
            let kept = try chain.first.map { try timeline.property($0, held.name(atStep: begins))?.canonical } ?? value
            if value != nil, value == kept { continue }
            var other = miss(.held, row)
            other.property = name
            found.append(other)
            break
        }
        return found
    }

    private func failureOfOrder(_ row: Int, after previous: Int) -> Miss? {
        let ahead = sec(previous) - sec(row)
        switch plan.definition.order {
        case .sequential, .strict: if ahead < 0 { return nil }
        case .flexible: if ahead < plan.slack { return nil }
        case .any: if ahead <= 0 { return nil }
        }
        var found = miss(ahead == 0 ? .sameTime : .order, row)
        found.distance = UInt64(max(0, timeline.time[previous] - timeline.time[row]))
        return found
    }

    private func tooLate(_ row: Int, _ base: Int, _ window: Int64, _ reason: UserExplanation.Reason) -> Miss? {
        let over = sec(row) - sec(base) - window
        guard over > 0 else { return nil }
        var found = miss(reason, row)
        found.distance = UInt64(over) * UInt64(plan.tick)
        return found
    }

    private func blocked(_ reason: UserExplanation.Reason, _ row: Int, by blocker: Int) -> Miss {
        var found = miss(reason, row)
        found.blocker = timeline.moment(blocker)
        return found
    }

    /// Strict order: an event between the two that fills neither step.
    private func between(_ previous: Int, _ row: Int) -> Int? {
        guard plan.definition.order == .strict else { return nil }
        let steps = wanted | 1 << UInt64(chain.count - 1)
        return (0..<timeline.count).first {
            timeline.mask[$0] & steps == 0 && sec(previous) < sec($0) && sec($0) < sec(row)
        }
    }

    /// What would break the chain with this event at its end.
    private func excluding(_ row: Int) -> Int? {
        if plan.exclusions.isEmpty { return nil }
        var whole = chain + [Int](repeating: -1, count: max(0, position - chain.count)) + [row]
        if plan.definition.order == .any { whole = (chain + [row]).sorted { sec($0) < sec($1) } }
        let deepest = whole.count - 1
        for (e, exclusion) in plan.exclusions.enumerated() where deepest > exclusion.after {
            // Where a step was skipped, the last one before it and the first one behind it stand for it.
            let from = (0...exclusion.after).last { whole[$0] >= 0 } ?? 0
            let through = (min(exclusion.before, deepest)...deepest).first { whole[$0] >= 0 } ?? deepest
            let steps = whole[min(from, through)...through].filter { $0 >= 0 }.map(sec)
            let found = (0..<timeline.count).first { x in
                timeline.excluded[x] >> UInt64(e) & 1 == 1 && sec(whole[from]) < sec(x) && sec(x) < sec(whole[through])
                    && !steps.contains(sec(x))
            }
            if let found { return found }
        }
        return nil
    }
}
