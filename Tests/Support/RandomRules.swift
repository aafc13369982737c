import FunnelMatch
import FunnelModel

/// What a definition can ask for beyond the defaults.
package enum Rule: CaseIterable, Sendable {
    case flexible, strict, anyOrder, previousStep, earliest, first, optional, stepWindow, excludeEnd, excludeDrop, hold
    case attempts, sessions, property

    /// Two rules of one field exclude each other.
    package enum Field { case order, anchor, entry, optional, stepWindow, excludeEnd, excludeDrop, hold, countBy }

    package var field: Field {
        switch self {
        case .flexible, .strict, .anyOrder: .order
        case .previousStep: .anchor
        case .earliest, .first: .entry
        case .optional: .optional
        case .stepWindow: .stepWindow
        case .excludeEnd: .excludeEnd
        case .excludeDrop: .excludeDrop
        case .hold: .hold
        case .attempts, .sessions, .property: .countBy
        }
    }

    package func apply(to definition: inout FunnelDefinition, _ random: inout SplitMix64) {
        let steps = definition.steps.count
        let tick = definition.clock.tick
        switch self {
        case .flexible: definition.order = .flexible(limit: tick * Int64(random.pick([1, 1, 2, 3, 6])))
        case .strict: definition.order = .strict
        case .anyOrder: definition.order = .any
        case .previousStep: definition.anchor = .previousStep
        case .earliest: definition.entry = .earliest
        case .first: definition.entry = .first
        case .optional:
            if steps > 2 { definition.steps[1 + random.below(steps - 2)].isOptional = true }
            if steps > 3, random.chance(50) { definition.steps[2].isOptional = true }
        case .stepWindow:
            definition.steps[1 + random.below(steps - 1)].window = tick * Int64(random.pick([1, 1, 2, 3]))
        case .excludeEnd, .excludeDrop:
            for _ in 0..<(1 + random.below(2)) {
                let isAny = definition.order == .any
                let after = isAny ? 1 : 1 + random.below(steps - 1)
                let before = isAny ? steps : after + 1 + random.below(steps - after)
                definition.exclusions.append(
                    .init(events: .any, after: after, before: before, effect: self == .excludeDrop ? .dropUser : .endAttempt))
            }
        case .hold:
            for _ in 0..<random.pick([1, 1, 2, 3]) {
                let names = (0..<steps).map { _ in random.pick(["p", "q"] as [ByteString]) }
                definition.held.append(random.chance(50) ? .everyStep(names[0]) : .byStep(names))
            }
        case .attempts: definition.countBy = .attempts
        case .sessions:
            definition.countBy = .sessions
            definition.sessionGap = tick * Int64(random.pick([1, 2, 3]))
        case .property: definition.countBy = .property("u")
        }
    }
}

/// A random plan of some rules, and random histories for it: small clocks, so that ties, borders and repeats are frequent.
package struct RandomRules {
    package let plan: FunnelPlan

    /// Nil where a definition refuses the rules together.
    package init?(
        _ rules: [Rule], steps: Int, anchor: FunnelDefinition.WindowAnchor = .firstStep, _ random: inout SplitMix64
    ) {
        var definition = FunnelDefinition(steps: (0..<steps).map { .init(ByteString("s\($0)")) })
        definition.clock = random.chance(75) ? .second : .microsecond
        definition.anchor = anchor
        let tick = definition.clock.tick
        definition.window = tick * Int64(random.pick([1, 2, 3, 5, 100]))
        for rule in rules { rule.apply(to: &definition, &random) }
        guard let checked = try? definition.overriding(countBy: nil, sessionGap: nil) else { return nil }
        let unit: Int64 = 1_000_000
        let range = random.chance(30) ? (Int64(random.below(4)) * unit)..<(Int64(4 + random.below(6)) * unit) : nil
        plan = FunnelPlan(checked, entryRange: range, asOf: random.chance(50) ? Int64(random.below(14)) * unit : 1 << 59)
    }

    /// - Parameter span: seconds, or with a clock of microseconds mostly as many ticks.
    package func history(rows: Int, span: Int = 9, _ random: inout SplitMix64) -> UserHistory {
        let ticks = plan.tick == 1 && random.chance(70)
        let coarse = random.chance(50)
        let times: [Int64] = (0..<rows).map { _ in
            if ticks { return Int64(random.below(span)) }
            return coarse ? Int64(random.below(span)) * 1_000_000 : Int64(random.below(span * 4)) * 250_000
        }
        let dense = random.chance(30)
        func some(of count: Int) -> StepSet {
            let one = StepSet(only: random.below(count))
            if random.chance(15) { return StepSet() }
            return dense && random.chance(50) ? one | StepSet(only: random.below(count)) : one
        }
        let excludedShare = random.pick([5, 20, 50])
        return UserHistory(
            time: times.sorted(), mask: times.map { _ in some(of: plan.steps) },
            excluded: plan.exclusions.isEmpty
                ? [] : times.map { _ in random.chance(excludedShare) ? some(of: plan.exclusions.count) : StepSet() },
            held: plan.heldProperties.map { _ in times.map { _ in Int32(random.pick([-1, 0, 0, 0, 1, 1, 2])) } },
            unit: plan.unitProperty == nil ? [] : times.map { _ in Int32(random.pick([-1, 0, 0, 1, 1, 2])) })
    }
}
