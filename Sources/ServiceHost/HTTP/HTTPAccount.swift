import FunnelModel
import FunnelProtocol
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import NIOHTTPTypes
import ServiceRuntime

/// What is counted and logged of all HTTP requests of a process.
package struct HTTPAccount: Sendable {
    private let requests: Counter
    private let failures: Counter
    private let latency: LatencyHistogram
    private let log = FailureLog()
    /// Whether every request is logged.
    private let isVerbose: Bool

    package init(_ metrics: Metrics, isVerbose: Bool = false) {
        self.isVerbose = isVerbose
        requests = metrics.counter("sluice_http_requests_total", "HTTP requests answered")
        failures = metrics.counter(
            "sluice_http_failures_total", "HTTP requests answered with a status of 500 or more, probes of readiness not counted")
        latency = metrics.latency("sluice_http_request_seconds", "time to answer an HTTP request")
    }

    /// - Parameters:
    ///   - failure: what the answer says, where it is an error of the protocol.
    ///   - route: the pattern of the path; nil where there is none.
    func record(
        _ status: HTTPResponse.Status, _ failure: ProtocolError?, _ took: Duration, method: HTTPRequest.Method, route: String?,
        logger: @autoclosure () -> Logger
    ) {
        requests.add()
        latency.record(took)
        if status.code >= 400, route != "/readyz" {
            if status.code >= 500 { failures.add() }
            log.note(status, route, method, failure, logger())
        }
        guard isVerbose else { return }
        logger().debug(
            "request", metadata: ["method": "\(method)", "route": "\(route ?? "-")", "status": "\(status.code)", "took": "\(took)"])
    }
}
