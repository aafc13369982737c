import HTTP2
import NIOCore
import RPC

/// What all connections of one HTTP port share: their places, their clocks, and what was refused.
package final class HTTPDoor: Sendable {
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
