import HTTP2
import NIOCore
import RPC

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
