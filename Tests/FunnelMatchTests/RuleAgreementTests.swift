import FunnelMatch
import FunnelModel
import TestSupport
import Testing

/// `RuleMatcher` and reference on random small histories: each rule alone, every pair that a definition accepts, and random
/// mixtures. `SLUICE_CASES` histories in all.
struct RuleAgreementTests {
    static let combinations: [[Rule]] = {
        var list: [[Rule]] = [[]] + Rule.allCases.map { [$0] }
        for (i, rule) in Rule.allCases.enumerated() {
            for other in Rule.allCases[(i + 1)...] where rule.field != other.field {
                var random = SplitMix64(seed: 1)
                if RandomRules([rule, other], steps: 4, &random) != nil { list.append([rule, other]) }
            }
        }
        return list
    }()

    @Test func pairsThatMakeNoSenseAreRefused() {
        #expect(!Self.combinations.contains([.strict, .excludeEnd]))
        #expect(Self.combinations.contains([.anyOrder, .excludeDrop]))
        #expect(Self.combinations.count > 60)
    }

    @Test(arguments: combinations.indices)
    func matcherEqualsReference(index: Int) throws {
        var random = SplitMix64(seed: 0x4011 + UInt64(index))
        for round in 0..<(TestCounts.histories / Self.combinations.count / 2) {
            try compare(Self.combinations[index], round, &random)
        }
    }

    @Test func mixturesEqualReference() throws {
        var random = SplitMix64(seed: 0x3117)
        for round in 0..<(TestCounts.histories / 8) {
            let rules = Rule.allCases.shuffled(using: &random).prefix(2 + random.below(5))
            var fields: Set<Rule.Field> = []
            try compare(rules.filter { fields.insert($0.field).inserted }, round, &random)
        }
    }

    private func compare(_ rules: [Rule], _ round: Int, _ random: inout SplitMix64) throws {
        guard let rules = RandomRules(rules, steps: random.pick([2, 3, 3, 4, 4]), &random) else { return }
        var matcher = RuleMatcher(rules.plan)
        let bounds = (0..<(1 + random.below(4))).map { _ in Int64(random.below(12)) * 1_000_000 }.sorted()
        for _ in 0..<2 {
            let history = rules.history(rows: 1 + random.below(7), &random)
            var got: [UserOutcome] = []
            try matcher.match(history) { got.append($0) }
            let want = ReferenceMatcher(rules.plan).outcomes(of: history)
            try #require(got == want, "round \(round): \(rules.plan.definition)\n\(history)\ngot \(got)\nwant \(want)")
            guard round % 4 == 0 else { continue }

            var gotByRange = bounds.dropFirst().map { _ in [UserOutcome]() }
            try matcher.match(history, bounds: bounds) { gotByRange[$0].append($1) }
            let wantByRange = zip(bounds, bounds.dropFirst()).map { from, to in
                let plan = FunnelPlan(rules.plan.definition, entryRange: from..<to, asOf: rules.plan.asOf)
                return ReferenceMatcher(plan).outcomes(of: history)
            }
            try #require(gotByRange == wantByRange, "round \(round): \(rules.plan.definition)\n\(history)\n\(bounds)")
        }
    }

    /// In flexible order a later step can share its clock value with an excluded event and so save the chain: two ways to one
    /// row are not the same state.
    @Test func waysThatCoverAnExcludedEventAreToldApart() throws {
        var definition = FunnelDefinition(steps: ["a", "b", "c", "d"].map { .init($0) })
        definition.order = .flexible(limit: 2_000_000)
        definition.exclusions = [.init(events: .any, after: 1, before: 4)]
        let plan = FunnelPlan(definition, entryRange: nil, asOf: 1 << 59)
        let history = UserHistory(
            time: [0, 1, 2, 2, 3, 4].map { $0 * 1_000_000 }, mask: [1, 2, 2, 0, 4, 8], excluded: [0, 0, 0, 1, 0, 0])
        var matcher = RuleMatcher(plan)
        try matcher.match(history) { #expect($0 == UserOutcome(depth: 4, chain: [0, 2, 4, 5])) }
        #expect(ReferenceMatcher(plan).outcomes(of: history) == [UserOutcome(depth: 4, chain: [0, 2, 4, 5])])
    }

    /// Plain plans have a matcher of their own, which must agree also where the reference can't follow.
    @Test(arguments: [false, true], FunnelDefinition.WindowAnchor.allCases)
    func longHistoriesEqualPlainMatcher(flexible: Bool, anchor: FunnelDefinition.WindowAnchor) throws {
        var random = SplitMix64(seed: flexible ? 0x10F1 : 0x1051)
        for _ in 0..<min(2_000, TestCounts.histories / 50) {
            let rules = flexible ? [Rule.flexible] : []
            guard let rules = RandomRules(rules, steps: 2 + random.below(3), anchor: anchor, &random) else { continue }
            let rows = 30 + random.below(170)
            let history = rules.history(rows: rows, span: random.pick([20, 200]), &random)
            var plain = PlainMatcher(rules.plan, workMax: 20_000)
            guard let want = try? plain.match(time: history.time, mask: history.mask) else { continue }
            var matcher = RuleMatcher(rules.plan)
            var got: [UserOutcome] = []
            try matcher.match(history) { got.append($0) }
            try #require((got.first ?? UserOutcome()) == want, "\(rules.plan.definition)\n\(history)")
        }
    }
}

struct RuleBudgetTests {
    private func outcomes(
        _ steps: Int, rows: Int, workMax: Int, mask: (Int) -> StepSet, excluded: (Int) -> ExclusionSet = { _ in 0 },
        time: (Int) -> Int = { $0 }, _ change: (inout FunnelDefinition) -> Void
    ) throws -> [UserOutcome] {
        var definition = FunnelDefinition(steps: (0..<steps).map { .init(ByteString("s\($0)")) })
        change(&definition)
        let plan = FunnelPlan(definition, entryRange: nil, asOf: 1 << 59)
        let history = UserHistory(
            time: (0..<rows).map { Int64(time($0)) * 1_000_000 }, mask: (0..<rows).map(mask),
            excluded: definition.exclusions.isEmpty ? [] : (0..<rows).map(excluded))
        var matcher = RuleMatcher(plan, workMax: workMax)
        var outcomes: [UserOutcome] = []
        try matcher.match(history) { outcomes.append($0) }
        return outcomes
    }

    /// However many attempts a user has, these have nothing to count.
    @Test func modesThatNeverTurnBackNeedNoBudget() throws {
        let mask = { (row: Int) in StepSet(only: row % 3) }
        let changes: [(inout FunnelDefinition) -> Void] = [
            { _ in }, { $0.order = .strict }, { $0.order = .any }, { $0.countBy = .attempts },
            { $0.order = .flexible(limit: 2_000_000) }, { $0.countBy = .sessions },
            { $0.steps[2].window = 5_000_000 },
        ]
        for change in changes {
            let found = try outcomes(3, rows: 20_000, workMax: 0, mask: mask, change)
            #expect(found.allSatisfy { $0.depth == 3 || $0 == found.last } && !found.isEmpty)
        }
    }

    private static let day: Int64 = 86_400_000_000

    /// Twelve rows for fourteen steps, and enough of them only behind the last step.
    @Test func permutationsFailByName() {
        let steps = StepSet.first(15) - .first(1)
        #expect(throws: MatchError.workBudget(limit: 20_000)) {
            try outcomes(
                16, rows: 40, workMax: 20_000, mask: { $0 == 0 ? 1 : $0 == 13 ? StepSet(only: 15) : steps },
                time: { $0 == 0 ? 0 : $0 < 13 ? 1 : $0 }
            ) { $0.order = .flexible(limit: 1_000_000) }
        }
    }

    /// An event that nothing can cover, and many that can be.
    @Test func exclusionsInFlexibleOrderFailByName() {
        #expect(throws: MatchError.workBudget(limit: 20_000)) {
            try outcomes(
                8, rows: 400, workMax: 20_000, mask: { $0 == 0 ? 1 : $0 == 1 ? 0 : StepSet(only: 1 + $0 % 7) },
                excluded: { ExclusionSet(bits: UInt64(min(1, $0))) }
            ) {
                $0.order = .flexible(limit: 86_400_000_000)
                $0.exclusions = [.init(events: .any, after: 1, before: 8)]
            }
        }
    }

    /// Each excluded event asks for the second of two rows for one step.
    @Test func coversInAnyOrderFailByName() {
        #expect(throws: MatchError.workBudget(limit: 20_000)) {
            try outcomes(
                8, rows: 2_000, workMax: 20_000, mask: { StepSet(only: $0 / 2 % 7) }, excluded: { ExclusionSet(bits: UInt64($0 % 2)) }
            ) {
                $0.order = .any
                $0.exclusions = [.init(events: .any, after: 1, before: 8)]
            }
        }
    }
}
