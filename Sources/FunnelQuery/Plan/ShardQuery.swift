import EventStorage
import FunnelMatch
import FunnelModel

/// One funnel over a view of a shard. Its reports each choose a strategy once; then any number of threads match slice of users
/// by slice.
package struct ShardQuery: Sendable {
    package let plan: FunnelPlan
    let view: StoreView
    /// Places of the users in the query's buckets.
    let places: [Range<Int>]
    /// Only users who are in all of them count.
    let cohorts: [CohortScan]
    /// What to do with users who are too heavy.
    package let heavy: HeavyUsers

    package init(
        _ plan: FunnelPlan, _ view: StoreView, buckets: [Range<Int>], heavy: HeavyUsers = HeavyUsers(areNoted: false)
    ) {
        self.init(
            plan, view, places: buckets.map { view.places.places(ofBuckets: $0) }.filter { !$0.isEmpty }, cohorts: [],
            heavy: heavy)
    }

    /// A query over the users of some buckets who are in all of some cohorts.
    /// - Parameters:
    ///   - buckets: ascending and disjoint.
    ///   - cohorts: none is all users.
    /// - Throws: `MatchError.optionalStep` if a cohort asks for users who dropped at an optional step.
    package init(
        _ plan: FunnelPlan, _ view: StoreView, buckets: [Range<Int>], cohorts: [Cohort],
        heavy: HeavyUsers = HeavyUsers(areNoted: false)
    ) throws(MatchError) {
        let everyone = ShardQuery(plan, view, buckets: buckets, heavy: heavy)
        var scans: [CohortScan] = []
        for cohort in cohorts { scans.append(try CohortScan(cohort, everyone)) }
        self.init(plan, view, places: everyone.places, cohorts: scans, heavy: heavy)
    }

    init(_ plan: FunnelPlan, _ view: StoreView, places: [Range<Int>], cohorts: [CohortScan], heavy: HeavyUsers) {
        self.plan = plan
        self.view = view
        self.places = places
        self.cohorts = cohorts
        self.heavy = heavy
    }

    /// Another funnel over the same users.
    func with(_ plan: FunnelPlan) -> ShardQuery { ShardQuery(plan, view, places: places, cohorts: cohorts, heavy: heavy) }

    /// The same query without some users, with other heavy users noted.
    /// - Parameter left: places of the users left out, ascending.
    package func without(_ left: [Int]) -> ShardQuery {
        var kept: [Range<Int>] = []
        var next = 0
        for range in places {
            var start = range.lowerBound
            while next < left.count, left[next] < range.upperBound {
                if left[next] > start { kept.append(start..<left[next]) }
                start = max(start, left[next] + 1)
                next += 1
            }
            if start < range.upperBound { kept.append(start..<range.upperBound) }
        }
        let heavy = HeavyUsers(areNoted: true, rowsMax: heavy.rowsMax)
        return ShardQuery(plan, view, places: kept, cohorts: cohorts.map { $0.noting(heavy) }, heavy: heavy)
    }

    /// A count of users, or of the plan's other units, by depth.
    /// - Parameter times: whether the times of their attempts are collected too.
    package func counting(times: Bool) -> CountingScan { CountingScan(self, times: times) }
}
