import FunnelMatch
import FunnelModel
import TestSupport
import Testing

/// What `explain` must tell of a user's attempt, by asking every rule of every event (`Protocol/FUNNEL.md`, section 6).
struct ExplanationByHand {
    typealias Miss = UserExplanation.Miss

    private let plan: FunnelPlan
    private let user: OneUser
    /// By row of the chosen attempt, the place of its event; nil for a step that was skipped.
    private let chain: [Int?]
    /// The events of the chosen attempt, and the step that each did, from 0.
    private let done: [(step: Int, event: Int)]

    /// - Parameter outcome: of the user's events; nil for a user who did not enter.
    init(_ plan: FunnelPlan, _ user: OneUser, _ outcome: UserOutcome?) {
        self.plan = plan
        self.user = user
        chain = (outcome?.chain ?? []).map { $0 < 0 ? nil : $0 }
        let steps = outcome.map { $0.positions.isEmpty ? Array($0.chain.indices) : $0.positions } ?? []
        done = zip(steps, chain).compactMap { step, event in event.map { (step, $0) } }
    }

    var steps: [Int] { done.map(\.step) }

    private var definition: FunnelDefinition { plan.definition }
    private var isAny: Bool { definition.order == .any }

    private func sec(_ event: Int) -> Int64 { plan.ticks(user.events[event].time) }

    private func moment(_ event: Int) -> UserExplanation.Moment { .init(user.events[event].name, user.events[event].time) }

    private func isNamed(_ event: Int, _ step: Int) -> Bool { plan.positions(ofEvent: user.events[event].name).contains(step) }

    private func failing(_ filters: [Predicate], _ event: Int) -> Predicate? {
        filters.first { !$0.accepts(user.value(user.events[event], $0.property)) }
    }

    private func fills(_ event: Int, _ step: Int) -> Bool { isNamed(event, step) && failing(definition.steps[step].filters, event) == nil }

    func entries() -> [UserExplanation.Entry] {
        user.events.indices.map { event in
            let steps = (0..<plan.steps).filter { fills(event, $0) }
            return .init(moment: moment(event), positions: steps.reduce(0) { $0 | 1 << UInt64($1) })
        }
    }

    // MARK: - Other attempts

    /// Each instant at which an attempt may begin, as if the range held it alone.
    /// - Parameter match: what the reference makes of the user.
    func attempts(_ match: (FunnelPlan) -> UserOutcome?) -> [UserExplanation.Attempt] {
        let begins = isAny ? Array(0..<plan.steps) : [0]
        let events = user.events.indices.filter { event in begins.contains { fills(event, $0) } }
        let instants = Set(events.map { user.events[$0].time }.filter(plan.entryRange.contains))
        return instants.subtracting(done.first.map { [user.events[$0.event].time] } ?? []).sorted().compactMap { time in
            let alone = FunnelPlan(definition, entryRange: time..<(time + 1), asOf: plan.asOf)
            guard let outcome = match(alone), let last = outcome.chain.last else { return nil }
            let took = max(0, sec(last) - sec(outcome.chain[0]))
            return .init(
                time: time, depth: outcome.depth, took: UInt64(took),
                notChosen: notChosen(depth: outcome.depth, done: outcome.chain.filter { $0 >= 0 }.count, took: took))
        }
    }

    private func notChosen(depth: Int, done others: Int, took: Int64) -> UserExplanation.NotChosen {
        guard let first = done.first, let last = done.last else { return .leftOut }
        if definition.entry == .first { return .later }
        if depth < chain.count { return .shallower }
        if others < done.count { return .fewerOptional }
        return definition.entry == .shortest && took > max(0, sec(last.event) - sec(first.event)) ? .slower : .later
    }

    // MARK: - The nearest miss

    func stopped() -> Miss? {
        if chain.count == plan.steps { return nil }
        var next = (0..<plan.steps).filter { step in !done.contains { $0.step == step } }
        if !isAny { next = [next.first { $0 >= chain.count && !definition.steps[$0].isOptional } ?? -1] }
        var judged: [(rank: (Int, Int64, Int, Int, Int), miss: Miss)] = []
        for step in next {
            for event in user.events.indices where isNamed(event, step) {
                if let first = done.first?.event, sec(event) < sec(first) - plan.window.count { continue }
                let failed = failed(event, step)
                guard let miss = failed.first else {
                    if done.isEmpty { return .init(position: step, reason: .leftOut) }
                    Issue.record("the reference misses step \(step): \(moment(event))")
                    continue
                }
                let last = done.last?.event ?? event
                judged.append(((failed.count, done.isEmpty ? 0 : abs(sec(event) - sec(last)), event < last ? 1 : 0, event, step), miss))
            }
        }
        return judged.min { $0.rank < $1.rank }?.miss ?? .init(position: next[0], reason: .noEvent)
    }

    /// The rules that an event fails as that step, in the order of the table.
    private func failed(_ x: Int, _ step: Int) -> [Miss] {
        var found: [Miss] = []
        func fail(_ reason: UserExplanation.Reason, property: ByteString = "", blocker: Int? = nil, distance: Int64 = 0) {
            var miss = Miss(position: step, reason: reason, candidate: moment(x))
            miss.property = property
            miss.blocker = blocker.map(moment)
            miss.distance = UInt64(max(0, distance))
            found.append(miss)
        }
        if let filter = failing(definition.steps[step].filters, x) { fail(.condition, property: filter.property) }
        let differing = definition.held.first { held in
            let values = (done + [(step, x)]).map { user.value(user.events[$0.event], held.name(atStep: $0.step))?.canonical }
            return values.contains(nil) || Set(values).count > 1
        }
        if let differing { fail(.held, property: differing.name(atStep: step)) }
        guard let first = done.first?.event, let last = done.last else {
            if !plan.entryRange.contains(user.events[x].time) { fail(.range) }
            return found
        }
        if done.contains(where: { $0.event == x }) { fail(.used) }
        let previous = isAny ? first : last.event
        let early = user.events[previous].time - user.events[x].time
        let ahead = (sec(previous) - sec(x)) * plan.tick
        switch definition.order {
        case .sequential, .strict:
            if ahead == 0 { fail(.sameTime, distance: early) }
            if ahead > 0 { fail(.order, distance: early) }
        case .flexible(let limit): if ahead >= limit.count { fail(.order, distance: early) }
        case .any: if ahead > 0 { fail(.order, distance: early) }
        }
        func check(_ window: Microseconds?, from base: Int, _ reason: UserExplanation.Reason) {
            let elapsed = (sec(x) - sec(base)) * plan.tick
            if let window, elapsed > window.count { fail(reason, distance: elapsed - window.count) }
        }
        check(definition.window, from: definition.anchor == .firstStep ? first : last.event, .window)
        check(definition.steps[step].window, from: last.event, .stepWindow)
        if definition.order == .strict {
            let other = user.events.indices.first { y in
                sec(last.event) < sec(y) && sec(y) < sec(x) && !fills(y, last.step) && !fills(y, step)
            }
            if let other { fail(.between, blocker: other) }
        }
        if let breaking = breaking(done + [(step, x)]) { fail(.excluded, blocker: breaking) }
        return found
    }

    /// The first event that breaks a chain, of the first exclusion that does.
    private func breaking(_ chain: [(step: Int, event: Int)]) -> Int? {
        var chain = chain
        if isAny { chain = chain.map(\.event).sorted { (sec($0), $0) < (sec($1), $1) }.enumerated().map { ($0, $1) } }
        guard let deepest = chain.last?.step else { return nil }
        for exclusion in definition.exclusions where deepest > exclusion.after - 1 {
            let end = min(exclusion.before - 1, deepest)
            guard let from = chain.last(where: { $0.step <= exclusion.after - 1 }), let to = chain.first(where: { $0.step >= end }) else {
                continue
            }
            let between = chain.filter { (from.step...to.step).contains($0.step) }
            let found = user.events.indices.first { y in
                let name = user.events[y].name
                if case .named(let names) = exclusion.events, !names.contains(name) { return false }
                return failing(exclusion.filters, y) == nil && sec(from.event) < sec(y) && sec(y) < sec(to.event)
                    && !between.contains { sec($0.event) == sec(y) }
            }
            if let found { return found }
        }
        return nil
    }
}
