import FunnelMatch
import FunnelModel
import FunnelStorage
import Synchronization

/// One funnel over a snapshot of a shard: how it is matched is chosen once, then any number of threads run it slice of
/// users by slice.
package struct FunnelScan: Sendable {
    package let plan: FunnelPlan
    let snapshot: Snapshot
    /// Places of the buckets asked for.
    let places: [Range<Int>]
    /// Only users of all of them count.
    let cohorts: [CohortScan]

    package init(_ plan: FunnelPlan, _ snapshot: Snapshot, buckets: [Range<Int>]) {
        self.init(
            plan, snapshot, places: buckets.map { snapshot.places.places(ofBuckets: $0) }.filter { !$0.isEmpty }, cohorts: [])
    }

    /// - Parameters:
    ///   - buckets: whose users are counted, ascending and disjoint.
    ///   - cohorts: only users of all of them count; none is everyone.
    /// - Throws: `MatchError.optionalStep` for a cohort of those who dropped at one.
    package init(_ plan: FunnelPlan, _ snapshot: Snapshot, buckets: [Range<Int>], cohorts: [Cohort]) throws(MatchError) {
        let everyone = FunnelScan(plan, snapshot, buckets: buckets)
        var scans: [CohortScan] = []
        for cohort in cohorts { scans.append(try CohortScan(cohort, everyone)) }
        self.init(plan, snapshot, places: everyone.places, cohorts: scans)
    }

    init(_ plan: FunnelPlan, _ snapshot: Snapshot, places: [Range<Int>], cohorts: [CohortScan]) {
        self.plan = plan
        self.snapshot = snapshot
        self.places = places
        self.cohorts = cohorts
    }

    /// Another funnel over the same users.
    func with(_ plan: FunnelPlan) -> FunnelScan { FunnelScan(plan, snapshot, places: places, cohorts: cohorts) }

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
        queue = SliceQueue(scan.places, size: way.slicePlaces)
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
            while let slice = queue.next() {
                if isCancelled() { throw MatchError.cancelled }
                try reader.load(slice)
                counter.add(reader.lists, listOfStep: kernel.listOfStep)
            }
            tally.add(counts: counter.counts)
        case .attempts(let kernel):
            let reader = KernelReader(kernel)
            guard var attempts = AttemptScan(kernel.rules, includeShallow: false) else { break }
            while let slice = queue.next() {
                if isCancelled() { throw MatchError.cancelled }
                try reader.load(slice)
                attempts.scan(reader.lists, listOfStep: kernel.listOfStep)
                tally.add(attempts.outcomes, reader.lists, listOfStep: kernel.listOfStep)
            }
            tally.add(entered: attempts.entered[0], open: attempts.shallowOpen[0])
        case .narrowed(let kernel):
            guard let reader = NarrowedReader(kernel) else { break }
            while let slice = queue.next() {
                if isCancelled() { throw MatchError.cancelled }
                try reader.load(slice)
                reader.add(to: &tally)
            }
        case .general:
            try GeneralScan(scan, looksAtRows: false).run(queue, isCancelled) { history, outcome in tally.add(outcome, time: history.events.time) }
        }
        return tally
    }
}

/// Deals out slices of places in ascending order.
package final class SliceQueue: Sendable {
    private struct State {
        var range = 0
        var start = 0
    }

    private let places: [Range<Int>]
    private let size: Int
    private let state: Mutex<State>

    init(_ places: [Range<Int>], size: Int) {
        self.places = places
        self.size = max(1, size)
        state = Mutex(State(start: places.first?.lowerBound ?? 0))
    }

    var count: Int { places.reduce(0) { $0 + ($1.count + size - 1) / size } }

    func next() -> Range<Int>? {
        state.withLock { state in
            while state.range < places.count, state.start >= places[state.range].upperBound {
                state.range += 1
                if state.range < places.count { state.start = places[state.range].lowerBound }
            }
            guard state.range < places.count else { return nil }
            let slice = state.start..<min(places[state.range].upperBound, state.start + size)
            state.start = slice.upperBound
            return slice
        }
    }
}
