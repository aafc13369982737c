import FunnelModel
import FunnelProtocol
import FunnelRuntime
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import NIOHTTPTypes

/// Turns every error into a problem document, gives each request an id, counts and logs it. Logs hold the route's
/// pattern, never values of events, and no keys.
package struct EdgeMiddleware: RouterMiddleware {
    package typealias Context = EdgeContext

    private let account: EdgeAccount
    private let demandsTLS: Bool

    /// - Parameter demandsTLS: browsers are told to use nothing but TLS for this host from now on.
    package init(account: EdgeAccount, demandsTLS: Bool) {
        self.demandsTLS = demandsTLS
        self.account = account
    }

    package func handle(
        _ request: Request, context: EdgeContext, next: (Request, EdgeContext) async throws -> Response
    ) async throws -> Response {
        let start = ContinuousClock.now
        var context = context
        if let id = RequestID.given(request.headers) { context.logger[metadataKey: "hb.request.id"] = "\(id)" }
        var response: Response
        var failure: ProtocolError?
        do {
            var request = request
            if request.headers[.expect]?.lowercased() == "100-continue" {
                request.body = RequestBody(asyncSequence: ContinuedBody(base: request.body, channel: context.channel))
            }
            response = try await Peer.$channel.withValue(context.channel) { [request, context] in
                try await next(request, context)
            }
        } catch let error as HTTPError {
            response = Self.problem(error)
        } catch {
            let problem = ProtocolError(of: error)
            if problem.code == .unknownError { context.logger.error("request failed", metadata: ["error": "\(words(error))"]) }
            response = EdgeResponse.problem(problem)
            failure = problem
        }
        response.headers[.requestID] = context.id.description
        if demandsTLS { response.headers[.strictTransportSecurity] = "max-age=31536000" }
        account.record(
            response.status, failure, ContinuousClock.now - start, method: request.method, route: context.endpointPath, logger: context.logger)
        return response
    }

    private static func problem(_ error: HTTPError) -> Response {
        let code: ProtocolError.Code = error.status == .contentTooLarge ? .tooLarge : .invalidMessage
        switch error.status {
        case .notFound: return EdgeResponse.problem(.notFound, "no such path")
        case .requestTimeout: return EdgeResponse.problem(.requestTimeout, error.body ?? "too slow")
        default: return EdgeResponse.problem(ProtocolError(code, error.body ?? "\(error.status)"))
        }
    }
}

/// What is counted and logged of all HTTP requests of a process.
package struct EdgeAccount: Sendable {
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

/// A body whose sender waits for `100 Continue` (RFC 9110, 10.1.1): it is told to go on when somebody begins to read, which
/// is after the checks of the head.
private struct ContinuedBody: AsyncSequence, Sendable {
    let base: RequestBody
    let channel: any Channel

    struct AsyncIterator: AsyncIteratorProtocol {
        var base: RequestBody.AsyncIterator
        var channel: (any Channel)?

        mutating func next() async throws -> ByteBuffer? {
            if let channel {
                self.channel = nil
                try await channel.writeAndFlush(HTTPResponsePart.head(HTTPResponse(status: .continue))).get()
            }
            return try await base.next()
        }
    }

    func makeAsyncIterator() -> AsyncIterator { AsyncIterator(base: base.makeAsyncIterator(), channel: channel) }
}
