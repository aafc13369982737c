import EventStorage
import FunnelMatch
import FunnelModel

/// How a funnel is matched. All strategies that take a plan give the same result; `choose` takes the fastest.
enum MatchStrategy: Sendable {
    /// Depths by `DepthCounter`.
    case counter(KernelPlan)
    /// Chosen attempts by `AttemptScan`.
    case attempts(KernelPlan)
    /// Chosen attempts under exclusions and held properties, by `NarrowedScan`.
    case narrowed(KernelPlan)
    /// Any rules, user by user.
    case general

    /// The fastest strategy for a query.
    /// - Parameter countsOnly: whether depths are enough, without the events of chosen attempts.
    static func choose(for query: ShardQuery, countsOnly: Bool) -> MatchStrategy {
        guard !query.plan.sharesEvents, let kernel = KernelPlan(query) else { return .general }
        if query.plan.isNarrowed { return kernel.hasAttempts ? .narrowed(kernel) : .general }
        if countsOnly, !kernel.canBeOpen, !kernel.rules.isSerial { return .counter(kernel) }
        return kernel.hasAttempts ? .attempts(kernel) : .general
    }

    var slicePlaces: Int {
        switch self {
        case .counter(let kernel), .attempts(let kernel), .narrowed(let kernel): kernel.slicePlaces
        case .general: GeneralScan.slicePlaces
        }
    }

    /// Clock ticks in one tick of the keys that a tally adds.
    var unit: UInt64 {
        switch self {
        case .attempts(let kernel), .narrowed(let kernel): kernel.scale
        case .counter, .general: 1
        }
    }
}
