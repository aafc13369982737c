import EventStorage
import FunnelMatch
import FunnelModel

/// One funnel over a view of a shard: how it is matched is chosen once, then any number of threads run it slice of
/// users by slice.
package struct ShardQuery: Sendable {
    package let plan: FunnelPlan
    let view: StoreView
    /// Places of the buckets asked for.
    let places: [Range<Int>]
    /// Only users of all of them count.
    let cohorts: [CohortScan]
    /// What becomes of users who are too heavy.
    package let heavy: HeavyUsers

    package init(
        _ plan: FunnelPlan, _ view: StoreView, buckets: [Range<Int>], heavy: HeavyUsers = HeavyUsers(areNoted: false)
    ) {
        self.init(
            plan, view, places: buckets.map { view.places.places(ofBuckets: $0) }.filter { !$0.isEmpty }, cohorts: [],
            heavy: heavy)
    }

    /// - Parameters:
    ///   - buckets: whose users are counted, ascending and disjoint.
    ///   - cohorts: only users of all of them count; none is everyone.
    ///   - heavy: what becomes of users who are too heavy.
    /// - Throws: `MatchError.optionalStep` for a cohort of those who dropped at one.
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

    /// The same without some users, noting others who are too heavy.
    /// - Parameter left: places, ascending.
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

    /// The counting of all users, or whatever the plan counts, with the times of their attempts if asked.
    package func counting(times: Bool) -> CountingScan { CountingScan(self, times: times) }
}
