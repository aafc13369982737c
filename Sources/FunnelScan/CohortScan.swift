import FunnelMatch
import FunnelModel

/// A cohort, ready to be told by any number of threads, slice by slice.
struct CohortScan: Sendable {
    let scan: FunnelScan
    let way: Way
    let list: UserList

    /// - Parameter scan: of the funnel that the cohort is for.
    init(_ cohort: Cohort, _ scan: FunnelScan) throws(MatchError) {
        var definition = cohort.definition
        // A cohort is of users, whatever else its funnel counts.
        definition.countBy = .users
        let plan = FunnelPlan(definition, entryRange: nil, asOf: scan.plan.asOf).cut(for: cohort.outcome, step: cohort.step)
        list = try UserList(cohort.outcome, step: cohort.step, plan)
        self.scan = FunnelScan(plan, scan.snapshot, places: scan.places, cohorts: [])
        way = Way.choose(for: self.scan, countsOnly: false)
    }
}
