import FunnelModel
import FunnelProtocol
import FunnelRuntime
import HTTPTypes
import Hummingbird
import Logging

/// Turns every error into a problem document, gives each request an id, counts and logs it. Logs hold the route's
/// pattern, never values of events, and no keys.
package struct EdgeMiddleware: RouterMiddleware {
    package typealias Context = EdgeContext

    private let requests: Counter
    private let failures: Counter
    private let latency: LatencyHistogram

    package init(metrics: Metrics) {
        requests = metrics.counter("sluice_http_requests_total", "HTTP requests answered")
        failures = metrics.counter("sluice_http_failures_total", "HTTP requests answered with a status of 500 or more")
        latency = metrics.latency("sluice_http_request_seconds", "time to answer an HTTP request")
    }

    package func handle(
        _ request: Request, context: EdgeContext, next: (Request, EdgeContext) async throws -> Response
    ) async throws -> Response {
        let start = ContinuousClock.now
        var response: Response
        do {
            response = try await next(request, context)
        } catch let error as HTTPError {
            response = Self.problem(error)
        } catch {
            let problem = ProtocolError(of: error)
            if problem.code == .unknownError { context.logger.error("request failed", metadata: ["error": "\(words(error))"]) }
            response = EdgeResponse.problem(problem)
        }
        response.headers[.requestID] = context.id.description
        let took = ContinuousClock.now - start
        requests.add()
        if response.status.code >= 500 { failures.add() }
        latency.record(took)
        context.logger.debug(
            "request",
            metadata: [
                "method": "\(request.method)", "route": "\(context.endpointPath ?? "-")",
                "status": "\(response.status.code)", "took": "\(took)",
            ])
        return response
    }

    private static func problem(_ error: HTTPError) -> Response {
        let code: ProtocolError.Code = error.status == .contentTooLarge ? .tooLarge : .invalidMessage
        guard error.status == .notFound else { return EdgeResponse.problem(ProtocolError(code, error.body ?? "\(error.status)")) }
        let body: JSONValue = ["type": "urn:sluice:not_found", "title": "not found", "status": 404, "detail": "no such path"]
        return EdgeResponse.body(body.encoded, type: "application/problem+json", status: .notFound)
    }
}
