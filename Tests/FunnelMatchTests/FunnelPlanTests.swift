import FunnelMatch
import FunnelModel
import TestSupport
import Testing

/// What a plan says a history must bring.
struct FunnelPlanTests {
    private func plan(_ change: (inout FunnelDefinition) -> Void) -> FunnelPlan {
        var definition = FunnelDefinition(steps: [.init("a"), .init("b"), .init("c")])
        change(&definition)
        return FunnelPlan(definition, entryRange: nil, asOf: 0)
    }

    @Test func plainPlansReadTheirStepsAlone() {
        let plan = plan { _ in }
        #expect(plan.isPlain)
        #expect(plan.events == ["a", "b", "c"])
        #expect(!plan.needsEveryEvent)
    }

    @Test func exclusionsAddTheirEvents() {
        let some = plan { $0.exclusions = [.init(events: .named(["x"]), after: 1, before: 2)] }
        #expect(some.events == ["a", "b", "c", "x"])
        #expect(some.exclusions(ofEvent: "x") == 1)
        #expect(some.positions(ofEvent: "x") == 0)
        #expect(plan { $0.exclusions = [.init(events: .any, after: 1, before: 2)] }.events == nil)
    }

    @Test func strictOrderAndSessionsReadEverything() {
        for plan in [plan { $0.order = .strict }, plan { $0.countBy = .sessions }] {
            #expect(plan.events == nil)
            #expect(plan.needsEveryEvent)
        }
    }

    @Test func heldPropertiesAreReadOnce() {
        let plan = plan { $0.held = [.everyStep("p"), .byStep(["q", "p", "q"])] }
        #expect(plan.heldProperties == ["p", "q"])
        #expect(plan.held == [[0, 0, 0], [1, 0, 1]])
    }

    @Test func anyRuleBeyondThePlainOnesIsTold() {
        let user = Predicate(property: "user.plan", comparison: .exists, values: [])
        let changes: [(inout FunnelDefinition) -> Void] = [
            { $0.order = .strict }, { $0.order = .any }, { $0.steps[1].isOptional = true }, { $0.steps[1].window = 1_000_000 },
            { $0.exclusions = [.init(events: .any, after: 1, before: 2)] }, { $0.held = [.everyStep("p")] },
            { $0.countBy = .attempts }, { $0.countBy = .sessions }, { $0.countBy = .property("p") },
        ]
        for change in changes { #expect(!plan(change).isPlain) }
        let asking = plan { $0.steps[1].filters = [user] }
        #expect(asking.isPlain && asking.userProperties == ["plan"])
    }
}
