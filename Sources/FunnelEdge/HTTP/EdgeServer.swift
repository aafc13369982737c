import FunnelModel
import FunnelProtocol
import FunnelRuntime
import Hummingbird
import HummingbirdCore
import HummingbirdTLS
import FunnelRPC
import Logging
import NIOCore
import Synchronization

/// The HTTP side that every service has: health, readiness and metrics, beside its own routes.
package enum EdgeServer {
    package static func router(metrics: Metrics, isReady: @escaping @Sendable () -> String?) -> EdgeRouter {
        let router = EdgeRouter(context: EdgeContext.self, options: .autoGenerateHeadEndpoints)
        router.add(middleware: EdgeMiddleware(metrics: metrics))
        router.get("/healthz") { _, _ in EdgeResponse.text("ok\n") }
        router.get("/readyz") { _, _ in
            // The reason why it is not ready, or nothing.
            isReady().map { EdgeResponse.text("not ready: \($0)\n", status: .serviceUnavailable) } ?? EdgeResponse.text("ready\n")
        }
        router.get("/metrics") { _, _ in
            EdgeResponse.text(metrics.exposition, type: "text/plain; version=0.0.4; charset=utf-8")
        }
        return router
    }

    private static let connectionsMax = 4_096

    /// - Parameter bound: told the real port once the socket listens.
    package static func application(
        _ router: EdgeRouter, host: String, port: Int, tls: TLSServerConfig?, group: any EventLoopGroup, logger: Logger,
        bound: @escaping @Sendable (Int) async -> Void
    ) throws -> some ApplicationProtocol {
        let plain = HTTPServerBuilder.http1(
            configuration: .init(additionalChannelHandlers: [ContinueHandler(), CallerWatch()], idleTimeout: .seconds(60)))
        return Application(
            responder: router.buildResponder(),
            server: try tls.map { try .tls(plain, tlsConfiguration: try $0.httpConfiguration()) } ?? plain,
            configuration: .init(
                address: .hostname(host, port: port), serverName: "sluice",
                availableConnectionsDelegate: MaximumAvailableConnections(connectionsMax)),
            onServerRunning: { channel in await bound(channel.localAddress?.port ?? port) },
            eventLoopGroupProvider: .shared(group), logger: logger)
    }

    /// The `health` subcommand: asks /healthz of the process that runs with these settings.
    package static func askHealth(_ settings: Settings) async -> Bool {
        let host = settings.text("host") == "0.0.0.0" || settings.text("host") == "::" ? "127.0.0.1" : settings.text("host")
        return await HealthProbe.ask(host: host, port: CommonSettings.port(settings, "http-port"), tls: !settings.text("tls-cert").isEmpty)
    }
}
