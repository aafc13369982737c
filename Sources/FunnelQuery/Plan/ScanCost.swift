import EventStorage
import FunnelMatch
import FunnelModel

/// A rough estimate of what a query costs, before it runs.
package struct ScanCost: Sendable {
    /// Rows times steps, in terms of kernel work: a few nanoseconds each.
    package let units: Int

    /// Whether one thread needs about 0.1 s or more.
    package var isHeavy: Bool { units > 100_000_000 }

    /// Cost of matching user by user, relative to the kernels.
    private static let generalFactor = 20

    /// What a query looks at.
    package enum Kind: Sendable {
        /// Counts of the plan, by the fastest strategy.
        case counts
        /// Chosen attempts, user by user.
        case attempts
        /// Chosen attempts, and all events of their users.
        case timelines
        case oneUser
    }

    package init(_ query: ShardQuery, _ kind: Kind) {
        let (plan, view) = (query.plan, query.view)
        var rows = view.rows(of: plan.events(of: view.eventNames()))
        var isGeneral = !plan.hasPlainChains || plan.slack.count > 1 || plan.sharesEvents || plan.definition.anchor != .firstStep
        switch plan.definition.countBy {
        case .users, .attempts: break
        case .sessions, .property: isGeneral = true
        }
        switch kind {
        case .counts: break
        case .attempts: isGeneral = true
        case .timelines:
            rows = view.rows(of: view.eventNames())
            isGeneral = true
        case .oneUser: rows = 0
        }
        units = rows.multipliedReportingOverflow(by: plan.steps * (isGeneral ? Self.generalFactor : 1)).partialValue
    }

    /// The cost of reading a property of `rows` rows.
    package init(rows: Int) { units = rows * Self.generalFactor }
}

extension ShardQuery {
    /// Time of the newest event in microseconds, suppressed users included; nil without events.
    package var newestEvent: Int64? { view.newestTime }

    /// The id of the user at a place in the view.
    package func user(at place: Int) -> ByteString { view.ids(ofPlaces: [place])[0] }
}
