import Synchronization

/// Request ids that are sent with calls, so that the logs of several services can be matched.
package final class RequestNumbers: Sendable {
    private let last = Atomic<UInt64>(0)

    package init() {}

    package func next() -> UInt64 { last.wrappingAdd(1, ordering: .relaxed).newValue }
}
