import FunnelMatch
import FunnelModel

/// How far a user got.
struct Reach {
    var depth: Int
    /// Optional steps that were skipped, as bits.
    var skipped: UInt64 = 0
    /// Whether some attempt of a user who has not converted can still go on.
    var isOpen = false
}

/// Which users a list holds.
struct UserList: Sendable {
    private let depths: Range<Int>
    /// Whether it holds only users who can still go on.
    let isOfOpen: Bool
    /// An optional step that must have been done, as a bit.
    private let done: UInt64

    /// - Parameter step: from 1; means nothing for those who converted.
    init(_ outcome: ListOutcome, step: Int, _ plan: FunnelPlan) throws(MatchError) {
        guard plan.definition.countBy == .users else { throw .notUsers }
        let bit: UInt64 = (1...plan.steps).contains(step) ? 1 << UInt64(step - 1) : 0
        let isOptional = plan.optional & bit != 0
        let end = plan.steps + 1
        isOfOpen = outcome == .open
        switch outcome {
        case .converted:
            depths = plan.steps..<end
            done = 0
        case .reached:
            depths = max(1, min(step, end))..<end
            done = isOptional ? bit : 0
        case .dropped, .open:
            if isOptional { throw .optionalStep(step) }
            // From the row before it: the nearest required one.
            var previous = min(step, end) - 1
            while previous > 0, plan.optional >> UInt64(previous - 1) & 1 == 1 { previous -= 1 }
            depths = max(1, previous)..<max(1, previous, min(step, end))
            done = 0
        }
    }

    /// Whether it holds users who only reached step 1.
    var includesShallow: Bool { depths.contains(1) }

    func includes(_ user: Reach) -> Bool { depths.contains(user.depth) && user.skipped & done == 0 && (user.isOpen || !isOfOpen) }
}

extension FunnelPlan {
    /// A plan that tells the same users: steps behind that of the list make no difference to plain chains.
    func cut(for outcome: ListOutcome, step: Int) -> FunnelPlan {
        guard isPlain, outcome != .converted, (1..<steps).contains(step) else { return self }
        var definition = definition
        definition.steps.removeLast(steps - step)
        return FunnelPlan(definition, entryRange: entryRange, asOf: asOf)
    }
}
