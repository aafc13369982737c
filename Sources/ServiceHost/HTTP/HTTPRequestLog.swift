import FunnelModel
import FunnelProtocol
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import NIOHTTPTypes
import ServiceRuntime

/// Counts and logs the HTTP requests of a process.
package struct HTTPRequestLog: Sendable {
    private let requests: Counter
    private let failures: Counter
    private let latency: LatencyHistogram
    private let log = FailureLog()
    /// Whether every request is logged, at level debug.
    private let isVerbose: Bool

    package init(_ metrics: Metrics, isVerbose: Bool = false) {
        self.isVerbose = isVerbose
        requests = metrics.counter("sluice_http_requests_total", "HTTP requests answered")
        failures = metrics.counter(
            "sluice_http_failures_total", "HTTP requests answered with status 500 or above, without those to /readyz")
        latency = metrics.latency("sluice_http_request_seconds", "time from an HTTP request's head to its answer, in seconds")
    }

    /// Counts a request, and logs it if it failed or if all are logged.
    /// - Parameters:
    ///   - failure: the protocol error in the answer; nil for others.
    ///   - route: the pattern of the path; nil for an unknown path.
    ///   - sender: the sender's address.
    func record(
        _ status: HTTPResponse.Status, _ failure: ProtocolError?, _ took: Duration, method: HTTPRequest.Method, route: String?,
        sender: @autoclosure () -> String, logger: @autoclosure () -> Logger
    ) {
        requests.add()
        latency.record(took)
        if status.code >= 400, route != "/readyz" {
            if status.code >= 500 { failures.add() }
            log.note(status, route, method, failure, logger())
        }
        guard isVerbose else { return }
        logger().debug(
            "request",
            metadata: [
                "method": "\(method)", "route": "\(route ?? "-")", "status": "\(status.code)", "took": "\(took)", "address": "\(sender())",
            ])
    }
}
