/// How an attempt to deliver a notice ended.
package enum DeliveryOutcome: Equatable, Sendable {
    case delivered
    /// It may succeed later.
    /// - Parameter after: seconds that the receiver asks to wait; nil: it does not say.
    case failed(String, after: Int64? = nil)
    /// It would fail again in the same way.
    case refused(String)

    /// Why it failed; nil if it did not.
    package var reason: String? {
        switch self {
        case .delivered: nil
        case .failed(let reason, _), .refused(let reason): reason.cut(toBytes: NoticeLimits.reasonBytes)
        }
    }

    /// Of an HTTP answer. Redirects are not followed: the address that they name is not checked.
    /// - Parameters:
    ///   - retryAfter: the value of the header `Retry-After`; only its form in seconds counts.
    ///   - text: the first line of the answer.
    package static func answer(status: Int, retryAfter: String?, text: String) -> DeliveryOutcome {
        let shown = text.isEmpty ? "" : ": \(text)"
        switch status {
        case 200...299: return .delivered
        case 300...399: return .refused("the answer is a redirect (\(status)), which is not followed")
        case 408, 425, 429, 500...599:
            let seconds = retryAfter.flatMap { Int64($0) }.map { min(max($0, 0), Outbox.retryAfterSecondsMax) }
            return .failed("the answer is \(status)\(shown)", after: seconds)
        default: return .refused("the answer is \(status)\(shown)")
        }
    }
}
