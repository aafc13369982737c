import EventStorage
import FunnelMatch
import FunnelModel

extension ShardQuery {
    /// The times of the earliest and the latest event that may start an attempt: one of step 1, or in any order of any step.
    package func entrySpan() -> EntrySpanScan { EntrySpanScan(self) }
}

/// A running search for the entry span. Threads call `run` concurrently; the caller joins their ranges.
package struct EntrySpanScan: Sendable {
    private let query: ShardQuery
    private let kernel: KernelPlan?
    private let queue: SliceQueue

    init(_ query: ShardQuery) {
        self.query = query.with(query.plan.entries)
        kernel = KernelPlan(self.query, starting: .all)
        queue = SliceQueue(query, size: kernel?.slicePlaces ?? GeneralScan.slicePlaces)
    }

    /// Number of slices; more threads than that have no work.
    package var slices: Int { queue.count }

    /// Processes slices until none is left.
    /// - Parameter isCancelled: called once a slice.
    /// - Returns: the min and max time in microseconds; nil without such events.
    package func run(isCancelled: () -> Bool) throws -> ClosedRange<Int64>? {
        var span = Span()
        if let kernel {
            let reader = KernelReader(kernel)
            let mask: UInt64 = 1 << UInt64(kernel.layout.timeBits) - 1
            try queue.each(isCancelled) { slice in
                try reader.load(slice)
                for list in reader.lists {
                    for i in 0..<list.count { span.add(kernel.layout.time(list[i] & mask)) }
                }
            }
        } else {
            try GeneralScan(query, starting: .all, looksAtRows: false).each(queue, isCancelled) { history in
                for time in history.events.time where query.plan.entryRange.contains(time) { span.add(time) }
            }
        }
        return span.least <= span.greatest ? span.least...span.greatest : nil
    }

    private struct Span {
        var least = Int64.max
        var greatest = Int64.min

        mutating func add(_ time: Int64) {
            least = min(least, time)
            greatest = max(greatest, time)
        }
    }
}
