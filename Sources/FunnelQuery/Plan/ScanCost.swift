import EventStorage
import FunnelMatch
import FunnelModel

/// What a query costs, roughly and before it runs.
package struct ScanCost: Sendable {
    /// Rows times steps, as the kernels take them: some nanoseconds each.
    package let units: Int

    /// Of one thread, a tenth of a second or longer.
    package var isHeavy: Bool { units > 100_000_000 }

    /// What one user's history after the other costs more than the kernels do.
    private static let generalFactor = 20

    /// What is looked at.
    package enum Kind: Sendable {
        /// What the plan asks for, as quickly as it can be matched.
        case counts
        /// The attempts that speak for users, one by one.
        case attempts
        /// The same, and beside them all events of their users.
        case timelines
        case oneUser
    }

    package init(_ query: ShardQuery, _ kind: Kind) {
        let (plan, view) = (query.plan, query.view)
        var rows = view.rows(of: plan.events ?? view.eventNames())
        var isGeneral = !plan.hasPlainChains || plan.slack > 1 || plan.sharesEvents || plan.definition.anchor != .firstStep
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

    /// Of a look at a property of all rows.
    package init(rows: Int) { units = rows * Self.generalFactor }
}

extension ShardQuery {
    /// Microseconds of the newest event of all, suppressed users' included.
    package var newestEvent: Int64? { view.newestTime }

    /// The id of a user by the place in the view.
    package func user(at place: Int) -> ByteString { view.ids(ofPlaces: [place])[0] }
}
