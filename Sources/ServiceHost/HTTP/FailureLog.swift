import FunnelProtocol
import HTTPTypes
import Logging
import Synchronization

/// Logs failed requests, so that the request id of an answer is found in the log. The number of lines is limited, so that callers
/// can't fill the disk.
package final class FailureLog: Sendable {
    /// A token bucket: 100 lines at once, and one more each second.
    package struct Budget {
        private static let burst = 100.0
        private var tokens = burst
        private var refilled: ContinuousClock.Instant
        private var leftOut = 0

        package init(_ now: ContinuousClock.Instant = .now) { refilled = now }

        /// The number of lines left out before this one; nil if this one must be left out too.
        package mutating func take(_ now: ContinuousClock.Instant = .now) -> Int? {
            tokens = min(Self.burst, tokens + (now - refilled) / .seconds(1))
            refilled = now
            guard tokens >= 1 else {
                leftOut += 1
                return nil
            }
            tokens -= 1
            defer { leftOut = 0 }
            return leftOut
        }
    }

    /// Separate, so that faults of callers take no lines from faults of the cluster.
    private let budgets = Mutex((ofCallers: Budget(), ofCluster: Budget()))

    /// Logs one failed request.
    /// - Parameter error: the error in the answer. Its text is logged with status 500 and above only, since others may quote the
    ///   caller.
    func note(_ status: HTTPResponse.Status, _ route: String?, _ method: HTTPRequest.Method, _ error: ProtocolError?, _ logger: Logger) {
        let isOfCluster = status.code >= 500
        let level: Logger.Level = isOfCluster ? .notice : .info
        guard logger.logLevel <= level, let leftOut = budgets.withLock({ isOfCluster ? $0.ofCluster.take() : $0.ofCallers.take() })
        else { return }
        var metadata: Logger.Metadata = ["method": "\(method)", "route": "\(route ?? "-")", "status": "\(status.code)"]
        if let error {
            metadata["code"] = "\(error.code.traits.name)"
            if isOfCluster { metadata["reason"] = "\(error.message)" }
        }
        if leftOut > 0 { metadata["left_out"] = "\(leftOut)" }
        logger.log(level: level, "request failed", metadata: metadata)
    }
}

/// Ids of requests, by which an answer is found in the log.
enum RequestID {
    private static let bytesMax = 64

    /// The caller's `X-Request-Id` if it is 1 to 64 printable ASCII characters without spaces; otherwise nil.
    static func given(_ headers: HTTPFields) -> String? {
        guard let text = headers[.requestID], (1...bytesMax).contains(text.utf8.count), text.utf8.allSatisfy({ $0 > 32 && $0 < 127 })
        else { return nil }
        return text
    }
}
