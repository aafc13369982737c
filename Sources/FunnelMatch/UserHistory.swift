import FunnelModel

/// The events of one user that a plan asks for (`FunnelPlan.events`), one row each, in the order of section 1.
package struct UserHistory: Equatable, Sendable {
    /// Microseconds, ascending.
    package var time: [Int64]
    /// The positions each row can fill, as bits.
    package var mask: [UInt64]
    /// The exclusions each row matches, as bits; empty where the plan has none.
    package var excluded: [UInt64]
    /// `held[p][row]`: code of the value of `plan.heldProperties[p]`, -1 where absent or null. One numbering serves all of
    /// them: equal codes, equal values (`PropertyValue.canonical`), also of two properties.
    package var held: [[Int32]]
    /// Code of the value of `plan.unitProperty`, -1 where absent or null; empty where the plan has none.
    package var unit: [Int32]

    package init(time: [Int64], mask: [UInt64], excluded: [UInt64] = [], held: [[Int32]] = [], unit: [Int32] = []) {
        self.time = time
        self.mask = mask
        self.excluded = excluded
        self.held = held
        self.unit = unit
    }
}

/// What became of one unit: a user, or an attempt, a session or a value of one.
package struct UserOutcome: Equatable, Sendable {
    /// Deepest step reached; 0 if the unit never entered.
    package var depth = 0
    /// Rows of the chosen attempt, `depth` of them: by step, -1 for an optional step that was not done; in any order, by
    /// the moment that so many were done.
    package var chain: [Int] = []
    /// In any order: the position that each row of the chain fills. Empty otherwise.
    package var positions: [Int] = []
    /// Depth of the deepest attempt that can still go on, of a user who has not converted; 0 is none, or not a user.
    package var openDepth = 0

    package init(depth: Int = 0, chain: [Int] = [], positions: [Int] = [], openDepth: Int = 0) {
        self.depth = depth
        self.chain = chain
        self.positions = positions
        self.openDepth = openDepth
    }
}

extension UserOutcome {
    /// Optional steps that were not done, before the deepest one that was, as bits.
    package var skipped: UInt64 {
        var bits: UInt64 = 0
        for (i, row) in chain.enumerated() where row < 0 { bits |= 1 << UInt64(i) }
        return bits
    }
}

package enum MatchError: Error, Equatable, Sendable {
    /// The history needs more work than one user may cost; the query fails rather than guess.
    case workBudget(limit: Int)
    /// The user has more events than a query reads of one, or more pairs of an event and a step that it can fill.
    case tooManyEvents(limit: Int)
    /// The plan has rules that this matcher does not know.
    case notPlain
    /// The plan counts something else than users, so no list of users is as long as its counts.
    case notUsers
    /// An optional step, from 1, has no drop-off.
    case optionalStep(Int)
    case cancelled
}

extension MatchError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .workBudget(let limit): "a user's history needs more than \(limit) steps of work under these rules"
        case .tooManyEvents(let limit): "a user has more than \(limit) events of this funnel"
        case .notPlain: "a rule of the funnel is not known here"
        case .notUsers: "the funnel counts something else than users"
        case .optionalStep(let step): "nobody drops at step \(step), since it is optional"
        case .cancelled: "cancelled"
        }
    }
}
