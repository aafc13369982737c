import FunnelMatch
import FunnelModel
import TestSupport

extension World {
    /// Exclusions and held properties on top of plain rules that kernels take.
    static func narrowed(_ plain: FunnelPlan, _ random: inout SplitMix64) -> FunnelPlan {
        var definition = plain.definition
        definition.anchor = .firstStep
        if case .flexible = definition.order { definition.order = .flexible(limit: definition.clock.tick) }
        let steps = definition.steps.count
        let excludes = steps > 1 && random.chance(70)
        for _ in 0..<(excludes ? 1 + random.below(2) : 0) {
            let after = 1 + random.below(steps - 1)
            let names = [random.pick(["a", "c", "d", "e"] as [ByteString])]
            definition.exclusions.append(
                .init(
                    events: random.chance(20) ? .any : .named(names), filters: random.chance(30) ? [filter(&random)] : [], after: after,
                    before: after + 1 + random.below(steps - after), effect: random.chance(50) ? .dropUser : .endAttempt))
        }
        for _ in 0..<(excludes && random.chance(60) ? 0 : random.pick([1, 1, 1, 2])) {
            let names = (0..<steps).map { _ in random.pick(["s", "p", "q"] as [ByteString]) }
            definition.held.append(random.chance(70) ? .everyStep(names[0]) : .byStep(names))
        }
        return FunnelPlan(definition, entryRange: plain.entryRange, asOf: plain.asOf)
    }
}
