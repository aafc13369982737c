import FunnelMatch
import FunnelModel
import Synchronization
import TestSupport
import Testing

/// A matcher asks within one user's history whether anybody still waits, whatever the rules.
struct CancellationTests {
    private static let changes: [@Sendable (inout FunnelDefinition) -> Void] = [
        { $0.order = .strict }, { $0.order = .any }, { $0.order = .flexible(limit: 60_000_000) }, { $0.countBy = .attempts },
        { $0.countBy = .sessions }, { $0.steps[2].window = 5_000_000 }, { $0.anchor = .previousStep }, { $0.steps[1].isOptional = true },
        { $0.exclusions = [.init(events: .any, after: 1, before: 2)] },
        {
            $0.order = .any
            $0.exclusions = [.init(events: .any, after: 1, before: 3, effect: .dropUser)]
        },
        { $0.entry = .first },
    ]

    private static func plan(_ steps: Int, _ change: (inout FunnelDefinition) -> Void) -> FunnelPlan {
        var definition = FunnelDefinition(steps: (0..<steps).map { .init(ByteString("s\($0)")) })
        change(&definition)
        return FunnelPlan(definition, entryRange: nil, asOf: 1 << 59)
    }

    private static func history(_ plan: FunnelPlan, rows: Int, mask: (Int) -> StepSet) -> UserHistory {
        UserHistory(
            time: (0..<rows).map { Int64($0) * 1_000_000 }, mask: (0..<rows).map(mask),
            excluded: plan.exclusions.isEmpty ? [] : (0..<rows).map { $0 % 50 == 49 ? 1 : 0 })
    }

    @Test(arguments: changes.indices)
    func longHistoriesEndWhenNobodyWaits(index: Int) throws {
        let plan = Self.plan(3, Self.changes[index])
        let history = Self.history(plan, rows: 100_000) { StepSet(only: $0 % 3) }
        let asked = Mutex(0)
        var matcher = RuleMatcher(plan) {
            asked.withLock {
                $0 += 1
                return $0 > 1
            }
        }
        #expect(throws: MatchError.cancelled) { try matcher.match(history) { _ in } }
        #expect(asked.withLock { $0 } == 2)
    }

    /// Memory goes by the pairs of an event and a step that it can fill.
    @Test func tooManyPairsAreRefusedByName() {
        let rows = Limits.userFills / 64 + 1
        for change in [{ _ in }, { $0.order = .strict }, { $0.order = .any }] as [(inout FunnelDefinition) -> Void] {
            let plan = Self.plan(64, change)
            let history = Self.history(plan, rows: rows) { _ in .all }
            var matcher = RuleMatcher(plan)
            #expect(throws: MatchError.tooManyEvents(limit: Limits.userFills)) { try matcher.match(history) { _ in } }
        }
    }
}
