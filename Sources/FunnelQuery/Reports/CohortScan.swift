import FunnelMatch
import FunnelModel

/// A cohort, ready to be told by any number of threads, slice by slice.
struct CohortScan: Sendable {
    let query: ShardQuery
    let strategy: MatchStrategy
    let list: UserList

    /// - Parameter scan: of the funnel that the cohort is for.
    init(_ cohort: Cohort, _ query: ShardQuery) throws(MatchError) {
        var definition = cohort.definition
        // A cohort is of users, whatever else its funnel counts.
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

    /// The same, where users who are too heavy for it are noted.
    func noting(_ heavy: HeavyUsers) -> CohortScan {
        CohortScan(ShardQuery(query.plan, query.view, places: query.places, cohorts: [], heavy: heavy), list)
    }
}
