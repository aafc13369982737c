import FunnelHTTP2
import FunnelRPC
import NIOCore

/// What all connections of one HTTP port share: their places, their clocks, and what was refused.
package final class EdgeDoor: Sendable {
    package static let connectionsMax = 4_096

    /// Bounds of one connection.
    package struct Limits: Sendable {
        /// TLS and the first request's head together, and any later head from its first byte on.
        package var head: Duration = .seconds(10)
        /// How slowly a body may come.
        package var body = BodyClock.Limits()
        /// Bytes of a body that are still read after the answer was given early.
        package var restBytes = 64 << 10
        /// How long such a connection stays open so that the answer arrives.
        package var linger: Duration = .seconds(1)
        /// The longest stay of a connection that has no ordinary place.
        package var probation: Duration = .seconds(5)

        package init() {}
    }

    let limits: Limits
    package let places: ConnectionPlaces
    package let answers: AnswerBudget
    package let refusals = Refusals<HTTPRefusal>()

    /// - Parameters:
    ///   - connections: in all, of which `reserved` are for short stays, such as health checks, when no others are free.
    package init(
        connections: Int = connectionsMax, connectionsPerAddress: Int = connectionsMax / 2, reserved: Int = 64, limits: Limits = Limits(),
        answers: AnswerBudget = AnswerBudget()
    ) {
        self.limits = limits
        self.answers = answers
        places = ConnectionPlaces(.init(most: connections, perAddress: connectionsPerAddress, reserved: reserved))
    }
}

/// Why an HTTP port refused a connection or a request.
package enum HTTPRefusal: String, RefusalReason {
    /// No place was free for the connection.
    case connections
    /// A place was free for a moment only, and the moment is over.
    case probation
    /// TLS or a request's head was not complete in time.
    case slowHead = "slow_head"
    /// The body fell below the least rate, or was not whole at its last moment.
    case slow
    /// The body was the slowest when memory was short.
    case evicted
    /// The answer had waited for its reader for longest when memory was short.
    case unread
    /// The answers of these statuses.
    case notAuthenticated = "not_authenticated"
    case guesses
    case forbidden
    case tooLarge = "too_large"

    init?(status: Int) {
        switch status {
        case 401: self = .notAuthenticated
        case 403: self = .forbidden
        case 413: self = .tooLarge
        case 429: self = .guesses
        default: return nil
        }
    }
}

/// Why a body was not read to its end.
enum BodyCut: Error, CustomStringConvertible {
    case slow
    case evicted

    var description: String {
        switch self {
        case .slow: "the body came too slowly"
        case .evicted: "the body's memory was needed for others"
        }
    }
}
