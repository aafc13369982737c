import FunnelEdge
import FunnelModel
import FunnelProtocol
import FunnelRPC
import FunnelRuntime
import Logging
import ServiceLifecycle

/// Takes events over HTTP and wire, checks them, and sends each to the shard of its user. Keeps nothing but its
/// snapshot of the cluster's metadata.
package final class IngestService: Sendable {
    package static let table = SettingsTable(
        program: "sluice-ingest", summary: "takes events over HTTP and the binary protocol and routes them to shards",
        example: "SLUICE_CLUSTER_SECRET=… sluice-ingest --data /var/lib/sluice-ingest --coordinator 10.0.0.5:8091",
        settings: CommonSettings.all(http: 8080, wire: 8081) + Membership.settings + [
            Setting("body-mb", .integer(1...1_024), default: "64", "largest decoded request body, in MiB"),
            Setting("bodies-mb", .integer(1...65_536), default: "512", "decoded HTTP request bodies held at a time, in MiB, a project's at most half; beyond that the slowest is refused"),
            Setting("events-per-request", .integer(1...1_000_000), default: "200000", "most events of one request"),
            Setting("in-flight-mb", .integer(1...65_536), default: "256", "bytes on their way to shards, in MiB; one shard may hold half"),
        ])

    private let node: Node
    private let membership: Membership
    private let router: ShardRouter
    private let intake: Intake

    package static func services(_ run: Program.Run) throws -> [any Service] {
        let node = try Node(.ingest, run)
        let service = try IngestService(node)
        let http = node.router()
        let bodies = EdgeBodies(bytes: node.settings.integer("bodies-mb") << 20)
        node.metrics.gauge("sluice_ingest_body_bytes", "bytes of HTTP request bodies held now") { Double(bodies.bytes) }
        let door = KeyDoor(guesses: node.guesses) { service.membership.view.keys }
        IngestRoutes(intake: service.intake, door: door, bodies: bodies).add(to: http)
        let identity = node.identity { service.membership.view.cluster }
        return [
            service.membership.service, Background { try await service.followMap() },
            Background { await service.router.probe() }, try node.httpService(http),
            node.wireService([.init(.append, .keys(.write, service.wireKeys)) { try await service.append($0) }], as: identity),
        ]
    }

    private init(_ node: Node) throws {
        self.node = node
        let membership = try Membership(node)
        self.membership = membership
        let settings = node.settings
        let identity = node.identity { membership.view.cluster }
        router = ShardRouter(budgetBytes: settings.integer("in-flight-mb") << 20, logger: node.logger) { shard in
            FrameClient(
                name: "shard-\(shard.id)", host: shard.host, port: shard.port, service: identity, group: node.group,
                tls: node.clientTLS, connections: 2, logger: node.logger)
        }
        intake = Intake(
            router: router, bodyBytesMax: settings.integer("body-mb") << 20,
            eventsMax: min(Limits.rowsPerBatch, settings.integer("events-per-request")), metrics: node.metrics)
        node.metrics.gauge("sluice_ingest_in_flight_bytes", "bytes on their way to shards") { [router] in Double(router.inFlightBytes) }
        node.metrics.gauge("sluice_ingest_shards_down", "shards that can't be reached") { [router] in Double(router.shardsDown) }
    }

    /// Keeps the links to shards in step with the cluster map.
    private func followMap() async throws {
        node.setReady("waiting for the cluster map")
        guard let first = await membership.view.ready() else { return }
        try requireKeys(node, KeyRing(first.keys))
        await router.use(first.map)
        node.setReady(nil)
        while !Task.isCancelled {
            try? await Task.sleep(for: .milliseconds(200))
            if let map = membership.view.snapshot?.map { await router.use(map) }
        }
        await router.shutdown()
    }

    /// Before the map is known no key is.
    private func wireKeys() throws(ProtocolError) -> KeyRing {
        try node.requireReady()
        return membership.view.keys
    }

    private func append(_ call: FrameCall) async throws {
        try node.requireReady()
        let principal = try membership.view.keys.admit(call.authorization, for: .write)
        let named = call.frame.context.project
        guard named == 0 || named == principal.project else {
            throw ProtocolError(.forbidden, "the key is of project \(principal.project), the frame names \(named)")
        }
        let message = try decoding("append") { () throws(ByteError) in try Append(body: call.frame.body) }
        guard message.part <= ShardRouter.Delivery.partMax else {
            throw ProtocolError(.invalidMessage, "part \(message.part) is over the limit of \(ShardRouter.Delivery.partMax)")
        }
        guard isValidUTF8(message.idempotencyKey.bytes) else { throw ProtocolError(.invalidMessage, "the idempotency key is not UTF-8") }
        let reader = BatchReader(now: WallClock.now(), idempotencyKey: message.idempotencyKey, eventsMax: intake.eventsMax)
        let delivery = ShardRouter.Delivery(of: message, project: principal.project)
        let outcome = try await intake.store(
            reader.columns(message.batch), delivery: delivery, project: principal.project, logger: node.logger)
        var answer = call.writer()
        try await answer.send(.appendResult, outcome.body)
        try await answer.end(rows: outcome.accepted)
    }
}
