import Synchronization

/// Why something was refused at a port: a fixed set, so that metrics can use it as a label.
package protocol RefusalReason: CaseIterable, Hashable, RawRepresentable, Sendable where RawValue == String {}

/// Number of refusals since the start, by reason.
package final class Refusals<Reason: RefusalReason>: Sendable {
    private let counts = Mutex<[Reason: Int]>([:])

    package init() {}

    package func count(_ reason: Reason) { counts.withLock { $0[reason, default: 0] += 1 } }

    package subscript(_ reason: Reason) -> Int { counts.withLock { $0[reason, default: 0] } }

    package var total: Int { counts.withLock { $0.values.reduce(0, +) } }
}

/// Why a wire port refused a connection or a stream.
package enum WireRefusal: String, RefusalReason {
    /// No place was free for the connection.
    case connections
    /// A place was free for a short time only, and the peer proved no role meanwhile.
    case probation
    /// Unknown path, method or content type.
    case request
    /// No key, an unknown one, or no proof of a role.
    case notAuthenticated = "not_authenticated"
    /// Too many keys of the address have failed.
    case guesses
    /// A key or a role that does not allow the call.
    case forbidden
    /// The service does not take calls yet.
    case notReady = "not_ready"
    case tooLarge = "too_large"
    /// No memory for the body.
    case memory
    /// The body was the slowest when memory was short.
    case evicted
    /// The body fell below the min rate, or was not complete at its deadline.
    case slow
    /// The answer had waited longest for its reader when memory was short.
    case unread
    /// Too many calls of the connection are still running, or the server stops.
    case calls
}
