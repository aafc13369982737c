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
        let list = try UserList(cohort.outcome, step: cohort.step, plan)
        self.init(FunnelScan(plan, scan.snapshot, places: scan.places, cohorts: [], heavy: scan.heavy), list)
    }

    private init(_ scan: FunnelScan, _ list: UserList) {
        self.scan = scan
        self.list = list
        way = Way.choose(for: scan, countsOnly: false)
    }

    /// The same, where users who are too heavy for it are noted.
    func noting(_ heavy: HeavyUsers) -> CohortScan {
        CohortScan(FunnelScan(scan.plan, scan.snapshot, places: scan.places, cohorts: [], heavy: heavy), list)
    }
}
