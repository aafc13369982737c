import FunnelMatch
import FunnelModel
import FunnelStorage

/// One funnel over a snapshot of a shard: how it is matched is chosen once, then any number of threads run it slice of
/// users by slice.
package struct FunnelScan: Sendable {
    package let plan: FunnelPlan
    let snapshot: Snapshot
    /// Places of the buckets asked for.
    let places: [Range<Int>]
    /// Only users of all of them count.
    let cohorts: [CohortScan]
    /// What becomes of users who are too heavy.
    package let heavy: HeavyUsers

    package init(
        _ plan: FunnelPlan, _ snapshot: Snapshot, buckets: [Range<Int>], heavy: HeavyUsers = HeavyUsers(areNoted: false)
    ) {
        self.init(
            plan, snapshot, places: buckets.map { snapshot.places.places(ofBuckets: $0) }.filter { !$0.isEmpty }, cohorts: [],
            heavy: heavy)
    }

    /// - Parameters:
    ///   - buckets: whose users are counted, ascending and disjoint.
    ///   - cohorts: only users of all of them count; none is everyone.
    ///   - heavy: what becomes of users who are too heavy.
    /// - Throws: `MatchError.optionalStep` for a cohort of those who dropped at one.
    package init(
        _ plan: FunnelPlan, _ snapshot: Snapshot, buckets: [Range<Int>], cohorts: [Cohort],
        heavy: HeavyUsers = HeavyUsers(areNoted: false)
    ) throws(MatchError) {
        let everyone = FunnelScan(plan, snapshot, buckets: buckets, heavy: heavy)
        var scans: [CohortScan] = []
        for cohort in cohorts { scans.append(try CohortScan(cohort, everyone)) }
        self.init(plan, snapshot, places: everyone.places, cohorts: scans, heavy: heavy)
    }

    init(_ plan: FunnelPlan, _ snapshot: Snapshot, places: [Range<Int>], cohorts: [CohortScan], heavy: HeavyUsers) {
        self.plan = plan
        self.snapshot = snapshot
        self.places = places
        self.cohorts = cohorts
        self.heavy = heavy
    }

    /// Another funnel over the same users.
    func with(_ plan: FunnelPlan) -> FunnelScan { FunnelScan(plan, snapshot, places: places, cohorts: cohorts, heavy: heavy) }

    /// The same without some users, noting others who are too heavy.
    /// - Parameter left: places, ascending.
    package func without(_ left: [Int]) -> FunnelScan {
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
        return FunnelScan(plan, snapshot, places: kept, cohorts: cohorts.map { $0.noting(heavy) }, heavy: heavy)
    }

    /// The counting of all users, or whatever the plan counts, with the times of their attempts if asked.
    package func counting(times: Bool) -> CountingScan { CountingScan(self, times: times) }
}

/// How a funnel is matched. Where several ways can, they agree; the quickest is taken.
enum Way: Sendable {
    /// Depths by `DepthCounter`.
    case counter(KernelPlan)
    /// Chosen attempts by `AttemptScan`.
    case attempts(KernelPlan)
    /// The same under rules that take chains away, by `NarrowedScan`.
    case narrowed(KernelPlan)
    /// Any rules, user by user.
    case general

    static func choose(for scan: FunnelScan, countsOnly: Bool) -> Way {
        guard !scan.plan.sharesEvents, let kernel = KernelPlan(scan) else { return .general }
        if scan.plan.isNarrowed { return kernel.hasAttempts ? .narrowed(kernel) : .general }
        if countsOnly, !kernel.canBeOpen, !kernel.rules.isSerial { return .counter(kernel) }
        return kernel.hasAttempts ? .attempts(kernel) : .general
    }

    var slicePlaces: Int {
        switch self {
        case .counter(let kernel), .attempts(let kernel), .narrowed(let kernel): kernel.slicePlaces
        case .general: GeneralScan.slicePlaces
        }
    }

    /// The clock's ticks in one of what a tally adds.
    var unit: UInt64 {
        switch self {
        case .attempts(let kernel), .narrowed(let kernel): kernel.scale
        case .counter, .general: 1
        }
    }
}

/// A count of a snapshot's users under way; `run` may be called on several threads at once, and their tallies added up.
package struct CountingScan: Sendable {
    private let scan: FunnelScan
    private let way: Way
    private let times: Bool
    private let queue: SliceQueue

    init(_ scan: FunnelScan, times: Bool) {
        self.scan = scan
        self.times = times
        way = Way.choose(for: scan, countsOnly: !times)
        queue = SliceQueue(scan, size: way.slicePlaces)
    }

    /// Slices; more threads than these have nothing to do.
    package var slices: Int { queue.count }

    /// Takes slices until there are none left.
    /// - Parameter isCancelled: asked once a slice, and within long histories.
    package func run(isCancelled: () -> Bool) throws -> FunnelTally {
        var tally = FunnelTally(scan.plan, times: times, unit: way.unit)
        switch way {
        case .counter(let kernel):
            let reader = KernelReader(kernel)
            var counter = DepthCounter(kernel.rules)
            try queue.each(isCancelled) { slice in
                try reader.load(slice)
                counter.add(reader.lists, listOfStep: kernel.listOfStep)
            }
            tally.add(counts: counter.counts)
        case .attempts(let kernel):
            let reader = KernelReader(kernel)
            guard var attempts = AttemptScan(kernel.rules, includeShallow: false) else { break }
            try queue.each(isCancelled) { slice in
                try reader.load(slice)
                attempts.scan(reader.lists, listOfStep: kernel.listOfStep)
                tally.add(attempts.outcomes, reader.lists, listOfStep: kernel.listOfStep)
            }
            tally.add(entered: attempts.entered[0], open: attempts.shallowOpen[0])
        case .narrowed(let kernel):
            guard let reader = NarrowedReader(kernel) else { break }
            try queue.each(isCancelled) { slice in
                try reader.load(slice)
                reader.add(to: &tally)
            }
        case .general:
            try GeneralScan(scan, looksAtRows: false).run(queue, isCancelled) { history, outcome in tally.add(outcome, time: history.events.time) }
        }
        return tally
    }
}
