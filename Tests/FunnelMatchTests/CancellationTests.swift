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

    /// Held properties split a history into as many groups as there are values. The work goes by the events, not by events times
    /// groups, and every part of it asks whether anybody still waits.
    @Test(arguments: [false, true])
    func manyGroupsTakeNoMoreWorkThanTheirEvents(isStrict: Bool) throws {
        let plan = Self.plan(3) {
            $0.held = [.everyStep("p")]
            if isStrict { $0.order = .strict } else { $0.exclusions = [.init(events: .any, after: 1, before: 2)] }
        }
        let rows = 60_000
        var history = Self.history(plan, rows: rows) { StepSet(only: $0 % 3) }
        history.held = [(0..<rows).map { Int32($0 / 3) }]
        func asked(until end: Int) throws(MatchError) -> Int {
            let asked = Mutex(0)
            var matcher = RuleMatcher(plan) {
                asked.withLock {
                    $0 += 1
                    return $0 > end
                }
            }
            var depths = 0
            do throws(MatchError) {
                try matcher.match(history) { depths += $0.depth }
                #expect(depths == 3)
            } catch {
                #expect(error == .cancelled && asked.withLock { $0 } == end + 1)
            }
            return asked.withLock { $0 }
        }
        let all = try asked(until: .max - 1)
        #expect(all < rows * 60 / (1 << 13), "\(all)")
        for end in stride(from: 1, to: all, by: max(1, all / 20)) { _ = try asked(until: end) }
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
