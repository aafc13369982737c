import Dispatch
import FunnelModel
import FunnelProtocol
import Glibc
import Logging
import NIOCore
import NIOPosix
import RPC
import ServiceLifecycle
import ServiceRuntime
import Synchronization

/// The parts that every service process has: settings, logs, metrics, ports, TLS, readiness.
package final class Node: Sendable {
    package let role: Role
    package let settings: Settings
    package let logger: Logger
    package let metrics: Metrics
    package let group: MultiThreadedEventLoopGroup
    package let host: String
    package let account: HTTPRequestLog
    /// Counts failed keys by address, over both ports.
    package let guesses = KeyGuesses()
    /// Nil if the ports speak plain text.
    package let tls: TLSFiles?
    private let tlsWatch: TLSWatch?
    /// Without TLS, SIGHUP changes nothing, and does not end the process either.
    private let hangup: HangupSignal?
    private let proxies: TrustedProxies
    private let limit = LogLimit(lines: 5)
    private let bound = Mutex<(http: Int?, wire: Int?)>((nil, nil))
    private let waiting: Mutex<(problem: String?, remarks: [String])>
    /// Set by `sluice up`, so that it recognizes its own processes at an address.
    private let instance = environmentVariables()["SLUICE_INSTANCE"] ?? ""

    /// Throws `InvalidDocument` if settings contradict each other or the TLS files can't be used.
    package init(_ role: Role, _ run: Program.Run) throws(InvalidDocument) {
        var faults = CommonSettings.check(run.settings)
        self.role = role
        settings = run.settings
        logger = run.logger
        metrics = run.metrics
        account = HTTPRequestLog(run.metrics, isVerbose: run.logger.logLevel <= .debug)
        host = run.settings.text("host")
        group = MultiThreadedEventLoopGroup(numberOfThreads: max(2, System.coreCount))
        waiting = Mutex(("starting", []))
        var proxies = TrustedProxies()
        do throws(TrustedProxies.Fault) {
            proxies = try TrustedProxies(run.settings.list("trusted-proxies"))
        } catch {
            faults.append(FieldFault("--trusted-proxies", error.reason))
        }
        self.proxies = proxies
        var tls: TLSFiles?
        if faults.isEmpty, let server = Self.serverTLS(role, run.settings) {
            let roots = run.settings.text("tls-ca")
            do throws(TransportError) {
                tls = try TLSFiles(server, trustRootsFile: roots.isEmpty ? nil : roots)
            } catch {
                faults.append(FieldFault("--tls-cert", error.message))
            }
        }
        if !faults.isEmpty { throw InvalidDocument(faults) }
        self.tls = tls
        tlsWatch = tls.map { TLSWatch($0, logger: run.logger) }
        hangup =
            tls == nil
            ? HangupSignal(on: .global()) { run.logger.notice("SIGHUP: there are no TLS files to read again, since tls-cert is not set") }
            : nil
        if let tls {
            metrics.gauge(
                "sluice_certificate_expiry_timestamp_seconds", "expiry time of the TLS certificate in use, in seconds since 1970 UTC"
            ) { Double(tls.expiry) }
            metrics.gauge(
                "sluice_tls_reload_failed", "1 if the TLS files were changed and can't be used, so that those before stay in use; else 0"
            ) { tls.fault == nil ? 0 : 1 }
        }
        metrics.gauge("sluice_ready", "1 if ready; 0 if not, see /readyz") { [weak self] in self?.notReady == nil ? 1 : 0 }
    }

    private static func serverTLS(_ role: Role, _ settings: Settings) -> TLSServerConfig? {
        guard !settings.text("tls-cert").isEmpty else { return nil }
        var server = TLSServerConfig(certificateChainFile: settings.text("tls-cert"), privateKeyFile: settings.text("tls-key"))
        let (roots, clientRoots) = (settings.text("tls-ca"), settings.text("tls-client-ca"))
        if !clientRoots.isEmpty {
            server.clientRootsFile = clientRoots
            server.namedRole = role
            // Holders of API keys call these, and have no certificate.
            server.mayLackCertificate = role != .shard
        } else if role == .shard, !roots.isEmpty {
            server.clientRootsFile = roots
        }
        return server
    }

    package var clientTLS: TLSClientConfig? { tls.map { TLSClientConfig($0) } }

    /// How this service identifies itself in wire calls.
    package func identity(_ cluster: @escaping @Sendable () -> ClusterState) -> ServiceSelf {
        ServiceSelf(role: role, secret: Array(settings.text("cluster-secret").utf8), cluster: cluster)
    }

    /// Why the service is not ready; nil if it is.
    package var notReady: String? {
        if let problem = waiting.withLock({ $0.problem }) { return problem }
        let ports = bound.withLock { $0 }
        if ports.wire == nil { return "the wire port is not open" }
        return ports.http == nil ? "the HTTP port is not open" : nil
    }

    /// Problems that do not stop the service, such as one of several shards being down.
    package var remarks: [String] { waiting.withLock { $0.remarks } }

    /// Sets the readiness, and logs changes of it.
    /// - Parameter problem: why the service can't work; nil if it can.
    package func setReady(_ problem: String?, remarks: [String] = []) {
        let before = waiting.withLock { waiting -> String? in
            defer { waiting = (problem, remarks) }
            return waiting.problem
        }
        // Readiness may change many times a second.
        if problem == nil, before != nil { limit.log(logger, .info, "ready", "ready", [:]) }
        if let problem, before == nil { limit.log(logger, .warning, "not ready", "not ready any more", ["reason": "\(problem)"]) }
    }

    /// Throws `.notReady`, with the reason, unless the service is ready.
    package func requireReady() throws(ProtocolError) {
        if let reason = notReady { throw ProtocolError(.notReady, "not ready: \(reason); nothing was done") }
    }

    /// The port for wire calls; nil until it is open.
    package var wirePort: Int? { bound.withLock { $0.wire } }

    func didBind(http: Int? = nil, wire: Int? = nil) {
        let both = bound.withLock { bound -> (Int, Int)? in
            bound.http = http ?? bound.http
            bound.wire = wire ?? bound.wire
            return bound.http.flatMap { http in bound.wire.map { (http, $0) } }
        }
        guard let both else { return }
        let (http, wire) = (addressText(host, both.0), addressText(host, both.1))
        logger.info("listening", metadata: ["http": "\(http)", "wire": "\(wire)"])
        let path = settings.text("addresses-file")
        guard !path.isEmpty else { return }
        let addresses: JSONValue = ["http": .text(http), "wire": .text(wire), "pid": .count(Int(getpid()))]
        do {
            try DurableFile.replace(path, with: addresses.encode())
        } catch {
            logger.error("cannot write the addresses file", metadata: ["error": "\(error)"])
        }
    }

    /// The wire server of this node, with the calls `routes`, `health` and `identity`, as a service of the process.
    /// - Parameters:
    ///   - shard: number of this shard; nil for other roles.
    ///   - shardCount: shards of the cluster map in use; 0 before there is one.
    ///   - dataID: id of the data that the shard has open; 0 for none, and for other roles.
    package func wireService(
        _ routes: [FrameServer.Route], as identity: ServiceSelf, shard: Int? = nil, shardCount: @escaping @Sendable () -> Int,
        dataID: @escaping @Sendable () -> UInt64 = { 0 }
    ) -> any Service {
        let health = FrameServer.Route(.health, .anyone) { [self] call in
            let result = HealthResult(role: role, ready: notReady == nil, epoch: identity.cluster().epoch)
            var answer = call.writer()
            try await answer.send(.healthResult, result.body)
            try await answer.end(rows: 1)
        }
        let who = FrameServer.Route(.identity, .services([.ingest, .coordinator, .shard])) { [self] call in
            let result = PeerIdentity(
                role: role, shard: shard, shardCount: shardCount(), cluster: identity.cluster(), problem: notReady, instance: instance,
                version: Program.version, dataID: dataID())
            var answer = call.writer()
            try await answer.send(.identity, result.body)
            try await answer.end(rows: 1)
        }
        let all = routes + [health, who]
        let handler = FrameServer(
            identity, routes: all, guesses: guesses, observer: WireMetrics(all.map(\.path), metrics), logger: logger)
        var limits = PortSettings.wire(settings)
        limits.maxBodyBytes = Limits.frameBytes + FrameHeader.size
        let server = TransportServer(
            group: group, host: host, port: CommonSettings.port(settings, "wire-port"), tls: tls, limits: limits,
            logger: logger, handler: handler)
        metrics.gauge("sluice_wire_connections", "open wire connections") { Double(server.stats.connections) }
        metrics.gauge("sluice_wire_calls_running", "wire calls being answered now") { Double(server.stats.callsRunning) }
        metrics.gauge("sluice_wire_body_bytes", "bytes of request bodies held for running wire calls") { Double(server.stats.bodyBytes) }
        metrics.refusals("sluice_wire_refused_total", "connections and streams refused by the wire port, by reason", server.refusals)
        metrics.counter("sluice_wire_connections_displaced_total", "idle wire connections closed to make room for others") {
            Double(server.stats.displaced)
        }
        return WireService(server: server, node: self)
    }

    /// The HTTP server of this node as a service of the process.
    package func httpService(_ router: ServiceRouter, small: SmallRequests? = nil) throws -> any Service {
        let shared = PortSettings.http(settings, proxies)
        metrics.refusals("sluice_http_refused_total", "HTTP connections and requests refused, by reason", shared.refusals)
        metrics.gauge("sluice_http_connections", "open HTTP connections") { Double(shared.places.count) }
        metrics.counter("sluice_http_connections_displaced_total", "idle HTTP connections closed to make room for others") {
            Double(shared.places.displaced)
        }
        let port = CommonSettings.port(settings, "http-port")
        let server = try ServiceServer.application(
            router, small: small, shared: shared, host: host, port: port, tls: tls, group: group, logger: logger
        ) { port in self.didBind(http: port) }
        return HTTPService(server: server, address: addressText(host, port))
    }

    /// A router with the common routes, to which the service adds its own.
    package func router() -> ServiceRouter {
        // Only the coordinator serves a page, for whose host browsers may remember that it uses TLS.
        let edge = ServiceEdge(usesTLS: tls != nil, proxies: proxies, hasPages: role == .coordinator)
        return ServiceServer.router(metrics: metrics, account: account, edge: edge) { (self.notReady, self.remarks) }
    }
}

private struct WireService: Service {
    let server: TransportServer
    let node: Node

    func run() async throws {
        let address = try await server.start()
        node.didBind(wire: address.port)
        try? await gracefulShutdown()
        await server.shutdown(grace: .seconds(4))
    }
}

private struct HTTPService: Service {
    let server: any Service
    let address: String

    func run() async throws {
        do {
            try await server.run()
        } catch let error as IOError {
            // The error's own text does not name the address.
            throw TransportError(.failed, "cannot listen on \(address): \(connectionWords(error))")
        }
    }
}

/// Runs its body at the stop, after the services that follow it in the list have stopped.
package struct AtShutdown: Service {
    private let body: @Sendable () async -> Void

    package init(_ body: @escaping @Sendable () async -> Void) { self.body = body }

    package func run() async throws {
        try? await gracefulShutdown()
        await body()
    }
}

/// Background work. The stop of the process cancels it; an error that it throws ends the process.
package struct Background: Service {
    private let body: @Sendable () async throws -> Void

    package init(_ body: @escaping @Sendable () async throws -> Void) { self.body = body }

    package func run() async throws {
        try await cancelWhenGracefulShutdown { try await body() }
        // A service that returns ends the process, so this one waits for the stop.
        try? await gracefulShutdown()
    }
}

extension Metrics {
    /// One counter for each reason; reasons are a fixed set.
    fileprivate func refusals<Reason>(_ name: String, _ help: String, _ refusals: Refusals<Reason>) {
        for reason in Reason.allCases {
            counter(name, help, labels: [("reason", reason.rawValue)]) { Double(refusals[reason]) }
        }
    }
}
