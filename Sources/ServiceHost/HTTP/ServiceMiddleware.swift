import FunnelModel
import FunnelProtocol
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import NIOHTTPTypes
import RPC
import ServiceRuntime

/// Turns every error into a problem document, gives each request an id, counts and logs it. Logs contain the route's pattern, and
/// never event values or keys.
package struct ServiceMiddleware: RouterMiddleware {
    package typealias Context = ServiceContext

    private let account: HTTPRequestLog
    private let edge: ServiceEdge

    package init(account: HTTPRequestLog, edge: ServiceEdge) {
        self.account = account
        self.edge = edge
    }

    package func handle(
        _ request: Request, context: ServiceContext, next: (Request, ServiceContext) async throws -> Response
    ) async throws -> Response {
        let start = ContinuousClock.now
        var context = context
        if let id = RequestID.given(request.headers) { context.logger[metadataKey: "hb.request.id"] = "\(id)" }
        let trace = TraceParent.read(request.headers[.traceParent])
        if let trace { context.logger[metadataKey: "traceparent"] = "\(trace)" }
        let sender = RequestSender(request.head, on: context.channel, edge.proxies, usesTLS: edge.usesTLS)
        var response: Response
        var failure: ProtocolError?
        do {
            var request = request
            if request.headers[.expect]?.lowercased() == "100-continue" {
                request.body = RequestBody(asyncSequence: ContinuedBody(base: request.body, channel: context.channel))
            }
            response = try await TraceParent.of(trace) { [request, context] in
                try await Peer.$sender.withValue(sender) { try await next(request, context) }
            }
        } catch {
            let headed = error as? HeadedError
            let error = headed?.base ?? error
            if let error = error as? HTTPError {
                response = Self.problem(error)
            } else {
                let problem = ProtocolError(of: error)
                if problem.code == .unknownError { context.logger.error("request failed", metadata: ["error": "\(words(error))"]) }
                response = JSONResponse.problem(problem)
                failure = problem
            }
            if let headed { response.headers.append(contentsOf: headed.headers) }
        }
        response.headers[.requestID] = context.id.description
        if edge.hasPages, sender.isSecure { response.headers[.strictTransportSecurity] = "max-age=31536000" }
        account.record(
            response.status, failure, ContinuousClock.now - start, method: request.method, route: context.endpointPath,
            sender: sender.address, logger: context.logger)
        return response
    }

    private static func problem(_ error: HTTPError) -> Response {
        let code: ProtocolError.Code = error.status == .contentTooLarge ? .tooLarge : .invalidMessage
        switch error.status {
        case .notFound: return JSONResponse.problem(.notFound, "no such path")
        case .requestTimeout: return JSONResponse.problem(.requestTimeout, error.body ?? "too slow")
        default: return JSONResponse.problem(ProtocolError(code, error.body ?? "\(error.status)"))
        }
    }
}

/// A body whose sender waits for `100 Continue` (RFC 9110 section 10.1.1). It is sent at the first read, which is after the checks
/// of the head.
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
