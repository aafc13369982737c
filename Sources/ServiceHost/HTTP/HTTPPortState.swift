import HTTP2
import NIOCore
import RPC

/// The state that all connections of one HTTP port share: limits, places, memory of answers, counts of refusals.
package final class HTTPPortState: Sendable {
    package static let connectionsMax = 4_096

    /// Limits of one connection.
    package struct Limits: Sendable {
        /// Max time of TLS and the first request's head together, and of any later head from its first byte on.
        package var head: Duration = .seconds(10)
        /// Max bytes of a head: names and values of its header fields, and its target.
        package var headBytes = 32 << 10
        /// Min rate and max time of a request body.
        package var body = BodyClock.Limits()
        /// Max bytes of a body that are still read after an early answer.
        package var restBytes = 1 << 20
        /// How long a connection stays open after an early answer, so that the answer arrives before the connection is reset.
        package var linger: Duration = .seconds(2)
        /// Max time of a connection on a reserved place.
        package var probation: Duration = .seconds(5)

        package init() {}
    }

    let limits: Limits
    let proxies: TrustedProxies
    package let places: ConnectionPlaces
    package let answers: AnswerBudget
    package let refusals = Refusals<HTTPRefusal>()

    /// The port takes `connections` connections. `reserved` of them are for short stays, such as health checks, when all others are
    /// taken. Trusted `proxies` have no limit of an address.
    package init(
        connections: Int = connectionsMax, connectionsPerAddress: Int = connectionsMax / 2, reserved: Int = 64, limits: Limits = Limits(),
        answers: AnswerBudget = AnswerBudget(), proxies: TrustedProxies = TrustedProxies()
    ) {
        self.limits = limits
        self.proxies = proxies
        self.answers = answers
        places = ConnectionPlaces(.init(most: connections, perAddress: connectionsPerAddress, reserved: reserved))
    }
}

/// Why a body was not read to its end.
enum BodyCut: Error, CustomStringConvertible {
    case slow
    case evicted
    case chunks

    var description: String {
        switch self {
        case .slow: "the body came too slowly"
        case .evicted: "the body's memory was needed for others"
        case .chunks: "the sizes and extensions of the body's chunks are too large"
        }
    }
}
