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

/// What every service process has around its own work: sockets, the view of the cluster, readiness.
package final class Node: Sendable {
    package let role: Role
    package let settings: Settings
    package let logger: Logger
    package let metrics: Metrics
    package let group: MultiThreadedEventLoopGroup
    package let host: String
    package let account: HTTPAccount
    /// Keys that failed, over both ports.
    package let guesses = KeyGuesses()
    private let limit = LogLimit(lines: 5)
    private let bound = Mutex<(http: Int?, wire: Int?)>((nil, nil))
    private let waiting: Mutex<(problem: String?, remarks: [String])>
    /// Given by whoever started the process, so that it knows its own from others at the same address.
    private let instance = environmentVariables()["SLUICE_INSTANCE"] ?? ""

    /// - Throws: `InvalidDocument` where settings contradict each other.
    package init(_ role: Role, _ run: Program.Run) throws(InvalidDocument) {
        var faults = CommonSettings.check(run.settings)
        self.role = role
        settings = run.settings
        logger = run.logger
        metrics = run.metrics
        account = HTTPAccount(run.metrics, isVerbose: run.logger.logLevel <= .debug)
        host = run.settings.text("host")
        group = MultiThreadedEventLoopGroup(numberOfThreads: max(2, System.coreCount))
        waiting = Mutex(("starting", []))
        if faults.isEmpty, let tls = serverTLS {
            do { try tls.check() } catch { faults.append(FieldFault("--tls-cert", error.message)) }
        }
        if !faults.isEmpty { throw InvalidDocument(faults) }
        if let expiry = try? serverTLS?.expiry() {
            // Of the file as it is read now. A certificate that replaces it is used and reported after the next start.
            metrics.gauge(
                "sluice_certificate_expiry_timestamp_seconds", "when the certificate in use ends to be valid, in seconds since 1970"
            ) { expiry }
        }
        metrics.gauge("sluice_ready", "1 once the service can do its work") { [weak self] in self?.notReady == nil ? 1 : 0 }
    }

    package var serverTLS: TLSServerConfig? {
        guard !settings.text("tls-cert").isEmpty else { return nil }
        let roots = settings.text("tls-ca")
        return TLSServerConfig(
            certificateChainFile: settings.text("tls-cert"), privateKeyFile: settings.text("tls-key"),
            clientRootsFile: role == .shard && !roots.isEmpty ? roots : nil)
    }

    package var clientTLS: TLSClientConfig? {
        guard !settings.text("tls-cert").isEmpty else { return nil }
        let roots = settings.text("tls-ca")
        return TLSClientConfig(
            trustRootsFile: roots.isEmpty ? nil : roots, certificateChainFile: settings.text("tls-cert"),
            privateKeyFile: settings.text("tls-key"))
    }

    package func identity(_ cluster: @escaping @Sendable () -> ClusterState) -> ServiceSelf {
        ServiceSelf(role: role, secret: Array(settings.text("cluster-secret").utf8), cluster: cluster)
    }

    /// Why the service can't work yet; nil once it can.
    package var notReady: String? {
        if let problem = waiting.withLock({ $0.problem }) { return problem }
        let ports = bound.withLock { $0 }
        if ports.wire == nil { return "the wire port is not open" }
        return ports.http == nil ? "the HTTP port is not open" : nil
    }

    /// What is not well although the service can do its work, such as one shard of several that is down.
    package var remarks: [String] { waiting.withLock { $0.remarks } }

    /// - Parameter problem: why the service can't do its work; nil where it can.
    package func setReady(_ problem: String?, remarks: [String] = []) {
        let before = waiting.withLock { waiting -> String? in
            defer { waiting = (problem, remarks) }
            return waiting.problem
        }
        // It may come and go many times a second.
        if problem == nil, before != nil { limit.log(logger, .info, "ready", "ready", [:]) }
        if let problem, before == nil { limit.log(logger, .warning, "not ready", "not ready any more", ["reason": "\(problem)"]) }
    }

    package func requireReady() throws(ProtocolError) {
        if let reason = notReady { throw ProtocolError(.notReady, "not ready: \(reason); nothing was done") }
    }

    /// Where this process listens for wire calls, once it does.
    package var wirePort: Int? { bound.withLock { $0.wire } }

    func didBind(http: Int? = nil, wire: Int? = nil) {
        let both = bound.withLock { bound -> (Int, Int)? in
            bound.http = http ?? bound.http
            bound.wire = wire ?? bound.wire
            return bound.http.flatMap { http in bound.wire.map { (http, $0) } }
        }
        guard let both else { return }
        logger.info("listening", metadata: ["http": "\(host):\(both.0)", "wire": "\(host):\(both.1)"])
        let path = settings.text("addresses-file")
        guard !path.isEmpty else { return }
        let addresses: JSONValue = [
            "http": .text("\(host):\(both.0)"), "wire": .text("\(host):\(both.1)"), "pid": .count(Int(getpid())),
        ]
        do {
            try DurableFile.replace(path, with: addresses.encoded)
        } catch {
            logger.error("cannot write the addresses file", metadata: ["error": "\(error)"])
        }
    }

    /// The wire side of this node as a service of the process.
    /// - Parameters:
    ///   - shard: number of this shard; nil for other roles.
    ///   - shardCount: shards of the map that this service acts by; 0 before it has one.
    ///   - dataID: of the data that a shard has open; 0 where it has none.
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
        var limits = TransportLimits()
        limits.maxBodyBytes = Limits.frameBytes + FrameHeader.size
        limits.maxConnectionsPerAddress = CommonSettings.connectionsPerAddress(settings, of: limits.maxConnections)
        let server = TransportServer(
            group: group, host: host, port: CommonSettings.port(settings, "wire-port"), tls: serverTLS, limits: limits,
            logger: logger, handler: handler)
        metrics.gauge("sluice_wire_connections", "open wire connections") { Double(server.stats.connections) }
        metrics.gauge("sluice_wire_calls_running", "wire calls being answered") { Double(server.stats.callsRunning) }
        metrics.gauge("sluice_wire_body_bytes", "request bytes held for running wire calls") { Double(server.stats.bodyBytes) }
        metrics.refusals("sluice_wire_refused_total", "connections and streams of the wire port turned away", server.refusals)
        metrics.counter("sluice_wire_connections_displaced_total", "idle wire connections closed to make room for others") {
            Double(server.stats.displaced)
        }
        return WireService(server: server, node: self)
    }

    /// The HTTP side of this node as a service of the process.
    package func httpService(_ router: ServiceRouter, small: SmallRequests? = nil) throws -> any Service {
        let door = HTTPDoor(connectionsPerAddress: CommonSettings.connectionsPerAddress(settings, of: HTTPDoor.connectionsMax))
        metrics.refusals("sluice_http_refused_total", "HTTP connections and requests turned away", door.refusals)
        metrics.gauge("sluice_http_connections", "open HTTP connections") { Double(door.places.count) }
        metrics.counter("sluice_http_connections_displaced_total", "idle HTTP connections closed to make room for others") {
            Double(door.places.displaced)
        }
        let port = CommonSettings.port(settings, "http-port")
        let server = try ServiceServer.application(
            router, small: small, door: door, host: host, port: port, tls: serverTLS, group: group, logger: logger
        ) { port in self.didBind(http: port) }
        return HTTPService(server: server, address: "\(host):\(port)")
    }

    package func router() -> ServiceRouter {
        // Browsers may remember for the dashboard's host that it speaks TLS.
        let demandsTLS = role == .coordinator && serverTLS != nil
        return ServiceServer.router(metrics: metrics, account: account, demandsTLS: demandsTLS) { (self.notReady, self.remarks) }
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
            // Its own words don't say where.
            throw TransportError(.failed, "cannot listen on \(address): \(connectionWords(error))")
        }
    }
}

/// Runs its body when the services after it in the list have stopped.
package struct AtShutdown: Service {
    private let body: @Sendable () async -> Void

    package init(_ body: @escaping @Sendable () async -> Void) { self.body = body }

    package func run() async throws {
        try? await gracefulShutdown()
        await body()
    }
}

/// A piece of background work that ends with the process.
package struct Background: Service {
    private let body: @Sendable () async throws -> Void

    package init(_ body: @escaping @Sendable () async throws -> Void) { self.body = body }

    package func run() async throws {
        try await cancelWhenGracefulShutdown { try await body() }
        // Returning would end the whole process; errors do, and are meant to.
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
