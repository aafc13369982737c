/// Which offset of one partition may be committed while its batches end in any order.
///
/// A committed offset is the first one that is not done: a consumer that takes over begins there. Offsets may have gaps, since brokers
/// delete messages and keep places for transactions.
package struct OffsetLedger: Equatable, Sendable {
    /// By number of a batch that is not done, its first offset.
    private var open: [Int: Int64] = [:]
    /// The offset after the last one that was taken.
    private var next: Int64?

    package init() {}

    /// Begins a batch. Numbers are unique; offsets are those of messages in the order in which they came.
    package mutating func begin(_ batch: Int, first: Int64, last: Int64) {
        open[batch] = first
        next = last &+ 1
    }

    /// Ends a batch whose events are durable.
    package mutating func end(_ batch: Int) { open[batch] = nil }

    package func isOpen(_ batch: Int) -> Bool { open[batch] != nil }

    /// Number of batches that are not done.
    package var openCount: Int { open.count }

    /// The offset to commit; nil before the first batch. All messages that came before it are durable.
    package var committable: Int64? { open.values.min() ?? next }
}
