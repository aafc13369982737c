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
        #expect(plan.events(of: ["a", "z"]) == ["a", "b", "c"])
        #expect(!plan.needsEveryEvent)
    }

    @Test func exclusionsAddTheirEvents() {
        let some = plan { $0.exclusions = [.init(events: .named(["x"]), after: 1, before: 2)] }
        #expect(some.events(of: ["z"]) == ["a", "b", "c", "x"])
        #expect(some.exclusions(ofEvent: "x") == 1)
        #expect(some.positions(ofEvent: "x") == 0)
        #expect(plan { $0.exclusions = [.init(events: .any, after: 1, before: 2)] }.events(of: ["z"]) == ["a", "b", "c", "z"])
    }

    @Test func strictOrderAndSessionsReadEverything() {
        for plan in [plan { $0.order = .strict }, plan { $0.countBy = .sessions }] {
            #expect(plan.events(of: ["a", "z"]) == ["a", "b", "c", "z"])
            #expect(plan.needsEveryEvent)
        }
    }

    @Test func profileRecordsAreReadOnlyWhereAStepNamesThem() {
        let all: [ByteString] = ["$groupidentify", "$identify", "$set", "$set_once", "a", "z"]
        let strict = plan { $0.order = .strict }
        #expect(strict.events(of: all) == ["a", "b", "c", "z"] && strict.positions(ofEvent: "$set") == 0)
        let wild = plan { $0.steps[1].events = .any }
        #expect(wild.positions(ofEvent: "$identify") == 0 && wild.positions(ofEvent: "z") == 0b10)
        let named = plan {
            $0.steps[1].events = .any
            $0.steps[2].events = .named(["$set"])
        }
        #expect(named.events(of: all) == ["$set", "a", "z"] && named.positions(ofEvent: "$set") == 0b100)
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
