/// A limit by which ingest refuses a whole request, as errors and metrics name it. `deploy/README.md`, "Limits", has all limits.
package enum RequestLimit: String, CaseIterable, Sendable {
    /// Bytes of a body, as received and decoded.
    case body = "body_mb"
    case eventsPerRequest = "events_per_request"
    /// Memory of all request bodies.
    case bodies = "bodies_mb"
    /// Data on the way to shards.
    case inFlight = "in_flight_mb"
    case addressBytes = "address_kb_per_second"
    case addressEvents = "address_events_per_second"
    case keyBytes = "key_kb_per_second"
    case keyEvents = "key_events_per_second"
    case rowsPerDay = "rows_per_day_max"

    /// Whether the sender exceeds a rate, so that HTTP answers 429 `rate_limited`. On the wire such an error is `overloaded`, with a time
    /// to wait, which clients of every release retry.
    package var isRate: Bool {
        switch self {
        case .body, .eventsPerRequest, .bodies, .inFlight: false
        case .addressBytes, .addressEvents, .keyBytes, .keyEvents, .rowsPerDay: true
        }
    }
}

extension ProtocolError {
    /// The error of a request that exceeds a rate.
    /// - Parameters:
    ///   - reason: begins after the name of the limit.
    ///   - wait: seconds until the request may be sent again.
    package static func rateLimited(_ limit: RequestLimit, _ reason: String, wait: Int) -> ProtocolError {
        var error = ProtocolError(.overloaded, "\(limit.rawValue): \(reason); nothing was stored, send it again in \(wait) s", limit: limit)
        error.retryAfterMilliseconds = UInt32(clamping: max(1, wait) * 1_000)
        return error
    }

    /// The code's name in problem documents.
    package var name: String { limit?.isRate == true ? "rate_limited" : code.traits.name }
}
