import FunnelMatch
import FunnelModel

/// How far a user got.
struct Reach {
    var depth: Int
    /// Positions of optional steps that were skipped.
    var skipped = StepSet()
    /// Whether the user has not converted and has an open attempt.
    var isOpen = false
}

/// The rule for which users are in a user list (`FUNNEL.md` section 6, "User lists").
struct UserList: Sendable {
    private let depths: Range<Int>
    /// Whether only users with an open attempt are in the list.
    let isOfOpen: Bool
    /// The position of an optional step that must have been done, as a bit.
    private let done: StepSet

    /// The list of users with an outcome at a step.
    /// - Parameter step: 1-based; ignored for `.converted`.
    /// - Throws: `.notUsers` if the plan counts other units; `.optionalStep` for users who dropped at an optional step.
    init(_ outcome: ListOutcome, step: Int, _ plan: FunnelPlan) throws(MatchError) {
        guard plan.definition.countBy == .users else { throw .notUsers }
        let isOptional = (1...plan.steps).contains(step) && plan.optional.contains(step - 1)
        let end = plan.steps + 1
        isOfOpen = outcome == .open
        switch outcome {
        case .converted:
            depths = plan.steps..<end
            done = StepSet()
        case .reached:
            depths = max(1, min(step, end))..<end
            done = isOptional ? StepSet(only: step - 1) : StepSet()
        case .dropped, .open:
            if isOptional { throw .optionalStep(step) }
            // The previous row is the nearest required step.
            var previous = min(step, end) - 1
            while previous > 0, plan.optional.contains(previous - 1) { previous -= 1 }
            depths = max(1, previous)..<max(1, previous, min(step, end))
            done = StepSet()
        }
    }

    /// Whether users who only reached step 1 can be in the list.
    var includesShallow: Bool { depths.contains(1) }

    func includes(_ user: Reach) -> Bool { depths.contains(user.depth) && (user.skipped & done).isEmpty && (user.isOpen || !isOfOpen) }
}

extension FunnelPlan {
    /// A plan without the steps after that of the list, which has the same users: later steps make no difference to plain
    /// chains.
    func cut(for outcome: ListOutcome, step: Int) -> FunnelPlan {
        guard isPlain, outcome != .converted, (1..<steps).contains(step) else { return self }
        var definition = definition
        definition.steps.removeLast(steps - step)
        return FunnelPlan(definition, entryRange: entryRange, asOf: asOf)
    }
}
