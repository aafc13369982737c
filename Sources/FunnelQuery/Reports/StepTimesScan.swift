import FunnelMatch
import FunnelModel

extension ShardQuery {
    /// How long users took from one step to a later one, and the counts (`FUNNEL.md` section 6, "Times between two steps").
    /// - Parameters:
    ///   - from: 0-based.
    ///   - to: a later step, 0-based.
    package func times(from: Int, to: Int) -> StepTimesScan { StepTimesScan(self, from: from, to: to) }
}

/// A running collection of times. Threads call `run` concurrently; their tallies are merged.
package struct StepTimesScan: Sendable {
    private let query: ShardQuery
    private let from: Int
    private let to: Int
    private let strategy: MatchStrategy
    private let queue: SliceQueue

    init(_ query: ShardQuery, from: Int, to: Int) {
        self.query = query
        self.from = from
        self.to = to
        strategy = MatchStrategy.choose(for: query, countsOnly: false)
        queue = SliceQueue(query, size: strategy.slicePlaces)
    }

    /// Number of slices; more threads than that have no work.
    package var slices: Int { queue.count }

    /// Processes slices until none is left.
    /// - Parameter isCancelled: called once a slice, and within long histories.
    /// - Throws: `MatchError`, `StoreError`.
    package func run(isCancelled: () -> Bool) throws -> (whole: FunnelTally, times: StepTimesTally) {
        var whole = FunnelTally(query.plan, times: false)
        var times = StepTimesTally(query.plan, from: from, to: to, unit: strategy.unit)
        switch strategy {
        case .counter: break
        case .attempts(let kernel):
            guard var attempts = AttemptScan(kernel.rules, includeShallow: false) else { return (whole, times) }
            let reader = KernelReader(kernel)
            try queue.each(isCancelled) { slice in
                try reader.load(slice)
                attempts.scan(reader.lists, listOfStep: kernel.listOfStep)
                whole.add(attempts.outcomes, reader.lists, listOfStep: kernel.listOfStep)
                times.add(attempts.outcomes, reader.lists, listOfStep: kernel.listOfStep)
            }
            whole.add(entered: attempts.entered[0], open: attempts.shallowOpen[0])
        case .narrowed(let kernel):
            guard let reader = NarrowedReader(kernel) else { break }
            try queue.each(isCancelled) { slice in
                try reader.load(slice)
                reader.add(to: &whole)
                times.add(reader.outcomes, reader.lists, listOfStep: kernel.listOfStep)
            }
        case .general:
            try GeneralScan(query, looksAtRows: false).run(queue, isCancelled) { history, outcome in
                whole.add(outcome, time: history.events.time)
                times.add(outcome, time: history.events.time)
            }
        }
        return (whole, times)
    }
}
