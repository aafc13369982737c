import HTTP2
import HTTPTypes
import NIOCore
import RPC

/// Why an HTTP port refused a connection or a request.
package enum HTTPRefusal: String, RefusalReason {
    /// No place was free for the connection.
    case connections
    /// Only a reserved place was free, and its time is over (`HTTPPortState.Limits.probation`).
    case probation
    /// TLS or a request's head was not complete in time.
    case slowHead = "slow_head"
    /// Another parser could read the request's length or host differently (`RequestFraming`).
    case framing
    /// The body fell below the min rate, or was not complete at its deadline.
    case slow
    /// The body was the slowest when memory was short.
    case evicted
    /// The answer had waited longest for its reader when memory was short.
    case unread
    /// The head has more bytes than `header-kb`.
    case head
    /// Requests answered with status 401, 429, 403 or 413.
    case notAuthenticated = "not_authenticated"
    case guesses
    case forbidden
    case tooLarge = "too_large"
    /// 429 for a rate of events or bytes, or for events a day.
    case rate

    init(_ reason: BodyCut) {
        switch reason {
        case .slow: self = .slow
        case .evicted: self = .evicted
        case .chunks: self = .framing
        }
    }

    init?(_ head: HTTPResponse) {
        switch head.status.code {
        case 401: self = .notAuthenticated
        case 403: self = .forbidden
        case 413: self = .tooLarge
        case 429: self = head.headerFields[.limit] == nil ? .guesses : .rate
        default: return nil
        }
    }
}
