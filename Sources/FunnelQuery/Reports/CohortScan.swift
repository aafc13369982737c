import FunnelMatch
import FunnelModel

/// A cohort prepared for matching: any number of threads find its members, slice by slice.
struct CohortScan: Sendable {
    let query: ShardQuery
    let strategy: MatchStrategy
    let list: UserList

    /// Prepares a cohort.
    /// - Parameter query: the query that the cohort restricts; gives the view, the users, `as_of` and `heavy`.
    /// - Throws: `MatchError.optionalStep` for users who dropped at an optional step.
    init(_ cohort: Cohort, _ query: ShardQuery) throws(MatchError) {
        var definition = cohort.definition
        // A cohort is of users, also if its funnel counts other units.
        definition.countBy = .users
        let plan = FunnelPlan(definition, entryRange: nil, asOf: query.plan.asOf).cut(for: cohort.outcome, step: cohort.step)
        let list = try UserList(cohort.outcome, step: cohort.step, plan)
        self.init(ShardQuery(plan, query.view, places: query.places, cohorts: [], heavy: query.heavy), list)
    }

    private init(_ query: ShardQuery, _ list: UserList) {
        self.query = query
        self.list = list
        strategy = MatchStrategy.choose(for: query, countsOnly: false)
    }

    /// The same cohort, which passes users who are too heavy to another `heavy`.
    func noting(_ heavy: HeavyUsers) -> CohortScan {
        CohortScan(ShardQuery(query.plan, query.view, places: query.places, cohorts: [], heavy: heavy), list)
    }
}
