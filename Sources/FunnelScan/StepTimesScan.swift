import FunnelMatch
import FunnelModel

extension FunnelScan {
    /// How long users took from one step to a later one, and their counts.
    /// - Parameters:
    ///   - from: 0-based.
    ///   - to: a later step.
    package func times(from: Int, to: Int) -> StepTimesScan { StepTimesScan(self, from: from, to: to) }
}

/// The times between two steps under way; `run` may be called on several threads at once, and their tallies added up.
package struct StepTimesScan: Sendable {
    private let scan: FunnelScan
    private let from: Int
    private let to: Int
    private let way: Way
    private let queue: SliceQueue

    init(_ scan: FunnelScan, from: Int, to: Int) {
        self.scan = scan
        self.from = from
        self.to = to
        way = Way.choose(for: scan, countsOnly: false)
        queue = SliceQueue(scan, size: way.slicePlaces)
    }

    /// Slices; more threads than these have nothing to do.
    package var slices: Int { queue.count }

    /// Takes slices until there are none left.
    /// - Parameter isCancelled: asked once a slice, and within long histories.
    /// - Throws: `MatchError`, `StoreError`.
    package func run(isCancelled: () -> Bool) throws -> (whole: FunnelTally, times: StepTimesTally) {
        var whole = FunnelTally(scan.plan, times: false)
        var times = StepTimesTally(scan.plan, from: from, to: to, unit: way.unit)
        switch way {
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
            try GeneralScan(scan, looksAtRows: false).run(queue, isCancelled) { history, outcome in
                whole.add(outcome, time: history.events.time)
                times.add(outcome, time: history.events.time)
            }
        }
        return (whole, times)
    }
}
