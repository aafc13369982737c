import FunnelModel

/// The events of one user that a plan asks for (`FunnelPlan.events`), one row each, in canonical order (`FUNNEL.md` section 1).
package struct UserHistory: Equatable, Sendable {
    /// Microseconds, ascending.
    package var time: [Int64]
    /// The positions that each row can fill.
    package var mask: [StepSet]
    /// The exclusions that each row matches; empty if the plan has none.
    package var excluded: [ExclusionSet]
    /// `held[p][row]`: code of the value of `plan.heldProperties[p]`; -1 if absent or null. All properties share one numbering:
    /// equal values (`PropertyValue.canonical`) have equal codes, also of two properties.
    package var held: [[Int32]]
    /// Code of the value of `plan.unitProperty`; -1 if absent or null. Empty if the plan has no such property.
    package var unit: [Int32]

    package init(time: [Int64], mask: [StepSet], excluded: [ExclusionSet] = [], held: [[Int32]] = [], unit: [Int32] = []) {
        self.time = time
        self.mask = mask
        self.excluded = excluded
        self.held = held
        self.unit = unit
    }
}

/// The outcome of one unit: a user, or one attempt, session or value of a user.
package struct UserOutcome: Equatable, Sendable {
    /// Deepest step reached; 0 if the unit never entered.
    package var depth = 0
    /// Rows of the chosen attempt, `depth` of them: by step, -1 for an optional step that was not done. In any order, element i
    /// is the row with which i + 1 steps were done.
    package var chain: [Int] = []
    /// The position that each row of the chain fills, in any order; else empty.
    package var positions: [Int] = []
    /// Depth of the deepest open attempt of a user who has not converted; 0 if there is none, or the unit is not a user.
    package var openDepth = 0

    package init(depth: Int = 0, chain: [Int] = [], positions: [Int] = [], openDepth: Int = 0) {
        self.depth = depth
        self.chain = chain
        self.positions = positions
        self.openDepth = openDepth
    }
}

extension UserOutcome {
    /// Positions of optional steps before the deepest step reached that were not done.
    package var skipped: StepSet {
        var skipped = StepSet()
        for (i, row) in chain.enumerated() where row < 0 { skipped.insert(i) }
        return skipped
    }
}

/// Why a history or a list of users cannot be computed.
package enum MatchError: Error, Equatable, Sendable {
    /// The history of one user needs more work than the budget. The answer never guesses.
    case workBudget(limit: Int)
    /// The user has more events than a query reads, or more pairs of an event and a step that it can fill.
    case tooManyEvents(limit: Int)
    /// The plan counts units other than users, so no list of users is as long as its counts.
    case notUsers
    /// The list is of users who dropped at an optional step, which nobody does. The step is 1-based.
    case optionalStep(Int)
    case cancelled
}

extension MatchError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .workBudget(let limit): "a user's history needs more than \(limit) visits under these rules"
        case .tooManyEvents(let limit): "a user has more than \(limit) events of this funnel"
        case .notUsers: "the funnel does not count users"
        case .optionalStep(let step): "nobody drops at step \(step), since it is optional"
        case .cancelled: "cancelled"
        }
    }
}
