import FunnelModel
import FunnelProtocol
import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import RPC
import ServiceRuntime
import Synchronization

/// What an HTTP port has in front of its routes.
package struct ServiceEdge: Sendable {
    /// Whether the port speaks TLS.
    package var usesTLS = false
    package var proxies = TrustedProxies()
    /// Whether it serves pages: then answers over TLS have `Strict-Transport-Security`.
    package var hasPages = false

    package init(usesTLS: Bool = false, proxies: TrustedProxies = TrustedProxies(), hasPages: Bool = false) {
        self.usesTLS = usesTLS
        self.proxies = proxies
        self.hasPages = hasPages
    }
}

/// The HTTP server of every service: its own routes, and health, readiness and metrics.
package enum ServiceServer {
    /// Paths that every service answers, without a key.
    package static let paths = ["/healthz", "/readyz", "/openapi.json", "/metrics"]

    /// A router with `paths`.
    /// - Parameter readiness: `problem` is why the service can't work, nil if it can; `remarks` are lesser problems that `/readyz`
    ///   lists.
    package static func router(
        metrics: Metrics, account: HTTPRequestLog, edge: ServiceEdge = ServiceEdge(),
        readiness: @escaping @Sendable () -> (problem: String?, remarks: [String])
    ) -> ServiceRouter {
        let router = ServiceRouter(context: ServiceContext.self, options: .autoGenerateHeadEndpoints)
        router.add(middleware: ServiceMiddleware(account: account, edge: edge))
        router.get("/healthz") { _, _ in JSONResponse.text("ok\n") }
        router.get("/readyz") { _, _ in
            let (problem, remarks) = readiness()
            if let problem { return JSONResponse.text("not ready: \(problem)\n", status: .serviceUnavailable) }
            return JSONResponse.text((["ready"] + remarks).map { $0 + "\n" }.joined())
        }
        router.get("/openapi.json") { _, _ in JSONResponse.body(APIDescription.json, type: "application/json") }
        router.get("/metrics") { _, _ in
            JSONResponse.text(metrics.exposition, type: "text/plain; version=0.0.4; charset=utf-8")
        }
        return router
    }

    private static let methods: [HTTPRequest.Method] = [.get, .head, .post, .put, .delete, .patch, .options, .trace, .connect]

    /// Answers 405 for all other methods of the routes that the router has now.
    private static func refuseOtherMethods(_ router: ServiceRouter) {
        for (path, routes) in Dictionary(grouping: router.routes, by: { "\($0.path)" }) {
            var known = Set(routes.map(\.method))
            // The router adds HEAD to GET.
            if known.contains(.get) { known.insert(.head) }
            let allowed = known.map(\.rawValue).sorted().joined(separator: ", ")
            for method in methods where !known.contains(method) {
                router.on(RouterPath(path), method: method) { _, _ in
                    JSONResponse.problem(.methodNotAllowed, "the path takes \(allowed)", headers: [.allow: allowed])
                }
            }
        }
    }

    /// The HTTP server of a port.
    /// - Parameters:
    ///   - router: with all routes; other methods of routes added later would get 404.
    ///   - small: answers some requests before the router sees them; nil for none.
    ///   - bound: called with the actual port once the socket listens.
    package static func application(
        _ router: ServiceRouter, small: SmallRequests? = nil, shared: HTTPPortState, host: String, port: Int, tls: TLSFiles?,
        group: any EventLoopGroup, logger: Logger,
        bound: @escaping @Sendable (Int) async -> Void
    ) throws -> some ApplicationProtocol {
        refuseOtherMethods(router)
        let configuration = HTTP1Channel.Configuration(
            additionalChannelHandlers: [RequestGuard(shared), CallerWatch()], idleTimeout: .seconds(60))
        let server = HTTPServerBuilder {
            ServiceChannel(HTTP1Channel(responder: $0, configuration: configuration), small, shared.proxies, tls: tls)
        }
        return Application(
            responder: router.buildResponder(),
            server: server,
            configuration: .init(
                address: .hostname(host, port: port), serverName: SmallRequests.serverName),
            onServerRunning: { channel in await bound(channel.localAddress?.port ?? port) },
            eventLoopGroupProvider: .shared(group), logger: logger)
    }

    /// The `health` subcommand: asks /healthz of the process that runs with these settings.
    package static func askHealth(_ settings: Settings) async -> Bool {
        let host = settings.text("host") == "0.0.0.0" || settings.text("host") == "::" ? "127.0.0.1" : settings.text("host")
        return await HealthProbe.ask(host: host, port: CommonSettings.port(settings, "http-port"), tls: !settings.text("tls-cert").isEmpty)
    }
}
