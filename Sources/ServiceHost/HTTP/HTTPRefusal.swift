import FunnelProtocol
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
    /// Requests answered with status 401, 429 or 403.
    case notAuthenticated = "not_authenticated"
    case guesses
    case forbidden
    /// 413, or a body or number of events over its limit in the words of an SDK.
    case tooLarge = "too_large"
    /// A rate of events or bytes, or events a day, with any status.
    case rate

    init(_ reason: BodyCut) {
        switch reason {
        case .slow: self = .slow
        case .evicted: self = .evicted
        case .chunks: self = .framing
        }
    }

    /// Nil for an answer that is no refusal. The header `Sluice-Limit` decides before the status: SDKs of some products need another one.
    init?(_ head: HTTPResponse) {
        guard head.status.code >= 400 else { return nil }
        if let limit = head.headerFields[.limit].flatMap(RequestLimit.init) {
            if limit.isRate {
                self = .rate
                return
            }
            if limit == .body || limit == .eventsPerRequest {
                self = .tooLarge
                return
            }
        }
        switch head.status.code {
        case 401: self = .notAuthenticated
        case 403: self = .forbidden
        case 413: self = .tooLarge
        case 429: self = .guesses
        default: return nil
        }
    }
}
