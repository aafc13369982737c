import EventStorage
import FunnelMatch
import FunnelModel

extension ShardQuery {
    /// The earliest and the latest event that may start an attempt.
    package func entrySpan() -> EntrySpanScan { EntrySpanScan(self) }
}

/// A search for the first and last event that may start an attempt under way: one of step 1, in any order of any step; `run` may be called on several threads at once.
package struct EntrySpanScan: Sendable {
    private let query: ShardQuery
    private let kernel: KernelPlan?
    private let queue: SliceQueue

    init(_ query: ShardQuery) {
        self.query = query.with(query.plan.entries)
        kernel = KernelPlan(self.query, starting: .max)
        queue = SliceQueue(query, size: kernel?.slicePlaces ?? GeneralScan.slicePlaces)
    }

    /// Slices; more threads than these have nothing to do.
    package var slices: Int { queue.count }

    /// Takes slices until there are none left.
    /// - Parameter isCancelled: asked once a slice.
    /// - Returns: microseconds; nil where there is no such event.
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
            try GeneralScan(query, starting: .max, looksAtRows: false).each(queue, isCancelled) { history in
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
