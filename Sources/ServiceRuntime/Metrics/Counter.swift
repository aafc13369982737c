import Synchronization

/// A counter that any thread may add to.
package final class Counter: Sendable {
    private let total = Atomic<UInt64>(0)

    package init() {}

    package func add(_ n: Int = 1) { total.wrappingAdd(UInt64(max(0, n)), ordering: .relaxed) }

    package var value: UInt64 { total.load(ordering: .relaxed) }
}
