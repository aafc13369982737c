import EventStorage
import FunnelMatch
import FunnelModel

/// A running count. Threads call `run` concurrently; their tallies are merged.
package struct CountingScan: Sendable {
    private let query: ShardQuery
    private let strategy: MatchStrategy
    private let times: Bool
    private let queue: SliceQueue

    init(_ query: ShardQuery, times: Bool) {
        self.query = query
        self.times = times
        strategy = MatchStrategy.choose(for: query, countsOnly: !times)
        queue = SliceQueue(query, size: strategy.slicePlaces)
    }

    /// Number of slices; more threads than that have no work.
    package var slices: Int { queue.count }

    /// Processes slices until none is left.
    /// - Parameter isCancelled: called once a slice, and within long histories.
    /// - Throws: `MatchError`, `HeavyUser`, `StoreError`.
    package func run(isCancelled: () -> Bool) throws -> FunnelTally {
        var tally = FunnelTally(query.plan, times: times, unit: strategy.unit)
        switch strategy {
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
            try GeneralScan(query, looksAtRows: false).run(queue, isCancelled) { history, outcome in
                tally.add(outcome, time: history.events.time)
            }
        }
        return tally
    }
}
