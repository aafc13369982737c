import Codec
import FunnelModel
import FunnelProtocol
import Logging
import RPC
import ServiceHost
import ServiceLifecycle
import ServiceRuntime

/// Takes events over HTTP and the wire, checks them, and sends each to the shard of its user. Stores only its snapshot of the
/// cluster metadata.
package final class IngestService: Sendable {
    package static let table = SettingsTable(
        program: "sluice-ingest", summary: "takes events over HTTP and the binary protocol and routes them to shards",
        example: "SLUICE_CLUSTER_SECRET=… sluice-ingest --data /var/lib/sluice-ingest --coordinator 10.0.0.5:8091",
        settings: CommonSettings.all(http: 8080, wire: 8081) + Membership.settings + [
            Setting("body-mb", .integer(1...1_024), default: "64", "max size of a decoded request body, in MiB"),
            Setting(
                "bodies-mb", .integer(1...65_536), default: "512",
                "max memory of all HTTP request bodies, in MiB, half of it for one project; above it the slowest is refused"),
            Setting("events-per-request", .integer(1...1_000_000), default: "200000", "max events of one request"),
            Setting("in-flight-mb", .integer(1...65_536), default: "256", "max data on the way to shards, in MiB; one shard may hold half"),
            Setting(
                "rejected-mb", .integer(0...65_536), default: "64",
                "max size of the files of rejected events, in MiB, half of it for one project; 0 = none are kept"),
            Setting(
                "advertise", .text, default: "",
                "wire address at which the coordinator reaches this service, host:port; by default the one that its calls come from"),
        ] + SenderLimits.settings + PortSettings.all + KafkaSettings.settings)

    private let node: Node
    private let membership: Membership
    private let router: ShardRouter
    private let intake: Intake
    private let incoming: IncomingEvents
    private let parsing = WorkThreads(isBackground: false)
    private let makeClient: @Sendable (ClusterMap.Shard, ExpectedPeer?, _ connections: Int) -> FrameClient

    /// The services of the process; they stop in reverse order. Throws `InvalidDocument` for faults of settings.
    package static func services(_ run: Program.Run) async throws -> [any Service] {
        let kafka = try KafkaSettings(run.settings)
        let node = try Node(.ingest, run)
        let service = try await IngestService(node)
        let http = node.router()
        let bodies = BodyMemory(bytes: node.settings.integer("bodies-mb") << 20)
        node.metrics.gauge("sluice_ingest_body_bytes", "memory of HTTP request bodies now, in bytes") { Double(bodies.bytes) }
        let door = KeyDoor(guesses: node.guesses) { service.membership.view.keys }
        let sdks = SDKRoutes(intake: service.intake, door: door, bodies: bodies, incoming: service.incoming)
        sdks.add(to: http)
        let routes = IngestRoutes(intake: service.intake, door: door, bodies: bodies, sdks: sdks, incoming: service.incoming)
        routes.add(to: http)
        let small = routes.small(account: node.account, logger: node.logger)
        let identity = node.identity { service.membership.view.cluster }
        let source = try KafkaSource.services(
            kafka, service.intake, service.incoming, metrics: node.metrics, logger: node.logger, isReady: { node.notReady == nil })
        return [
            AtShutdown { await service.incoming.finish() }, AtShutdown { await service.parsing.shutdown() }, service.membership.service,
            Background { try await service.followMap() }, Background { await service.incoming.sweep() },
            Background { await service.announce() }, DayFile(service.intake.limits, node.settings, node.logger),
            try node.httpService(http, small: small), IdleTrim { bodies.bytes > 0 || service.router.inFlightBytes > 0 },
            node.wireService(
                [
                    .init(.append, .keys(.write, service.wireKeys)) { try await service.append($0) },
                    .init(.incoming, .services([.coordinator])) { try await service.incoming.answer($0) },
                ], as: identity
            ) {
                service.router.shards.count
            },
        ] + source
    }

    private init(_ node: Node) async throws {
        self.node = node
        let rules = RulesInForce(logger: node.logger)
        rules.addMetrics(to: node.metrics)
        let membership = try await Membership(node) { rules.take($0) }
        self.membership = membership
        let settings = node.settings
        if !settings.text("advertise").isEmpty, let fault = addressFault(settings.text("advertise")) {
            throw InvalidDocument([FieldFault("--advertise", fault)])
        }
        let files = settings.integer("rejected-mb") << 20
        incoming = IncomingEvents(
            files == 0
                ? nil
                : DeadLetters(
                    DeadLetterFiles(directory: settings.text("data") + "/rejected", bytesMax: files), metrics: node.metrics,
                    logger: node.logger))
        let identity = node.identity { membership.view.cluster }
        makeClient = { shard, expected, connections in
            FrameClient(
                name: shard.name, host: shard.host, port: shard.port, service: identity, expecting: expected,
                group: node.group, tls: node.clientTLS, connections: connections, logger: node.logger)
        }
        router = ShardRouter(budgetBytes: settings.integer("in-flight-mb") << 20, logger: node.logger) { [makeClient] shard in
            ShardLink(shard, Self.expected(shard, membership.view), own: { membership.view.cluster }, logger: node.logger) {
                makeClient(shard, $0, $1)
            }
        }
        intake = Intake(
            router: router, bodyBytesMax: settings.integer("body-mb") << 20,
            eventsMax: min(Limits.rowsPerBatch, settings.integer("events-per-request")), parsing: parsing,
            limits: SenderLimits(settings, days: DayFile.read(settings)), rules: rules, metrics: node.metrics)
        if let limits = intake.limits {
            node.metrics.gauge(
                "sluice_ingest_rows_per_day_max_used_ratio",
                "events stored on this UTC day for the project with the most, divided by rows-per-day-max; 0 without the limit"
            ) { limits.usedOfDay }
        }
        node.metrics.gauge("sluice_ingest_in_flight_bytes", "bytes on the way to shards") { [router] in Double(router.inFlightBytes) }
        node.metrics.gauge("sluice_ingest_shards_down", "shards known to take no appends") { [router] in
            Double(router.shards.count { $0.problem != nil })
        }
    }

    /// Until cancelled: waits until the cluster map is confirmed, then keeps the links to shards as the newest map says.
    private func followMap() async throws {
        node.setReady("waiting for the cluster map")
        guard let first = await membership.view.ready() else { return }
        try requireKeys(node, KeyRing(first.keys))
        node.setReady("waiting for the coordinator to confirm the cluster map")
        guard await mapIsConfirmed(first.map) else { return }
        // Events that rules drop must not be stored, so nothing is sent before the rules are known.
        node.setReady("waiting for the normalisation rules")
        while !membership.knowsRules {
            guard (try? await Task.sleep(for: .milliseconds(20))) != nil else { return }
        }
        membership.claim()
        addShardMetrics(first.map.shards.count)
        let start = ContinuousClock.now
        var wasReady = false
        while !Task.isCancelled {
            if let map = membership.view.snapshot?.map { await router.use(map) }
            wasReady = tellReadiness(mayWait: !wasReady && ContinuousClock.now - start < Self.shardsPatience)
            try? await Task.sleep(for: .milliseconds(100))
        }
        await router.shutdown()
    }

    /// Time without the coordinator after which the shards are asked to confirm the map.
    private static let coordinatorPatience = Duration.seconds(5)

    /// Waits until the coordinator has answered this process. If it does not, waits until every shard of the stored map has
    /// identified itself as the shard that the map names. Returns false if the task was cancelled.
    ///
    /// Until then nothing may be sent: the stored map may be that of a cluster from which this directory was copied, and the events
    /// would go there.
    private func mapIsConfirmed(_ map: ClusterMap) async -> Bool {
        let start = ContinuousClock.now
        while !Task.isCancelled {
            if membership.view.sinceHeard != nil { return true }
            if ContinuousClock.now - start > Self.coordinatorPatience, !membership.isCopy, await shardsConfirm(map) {
                node.logger.warning("the coordinator is away; every shard has confirmed the stored cluster map")
                return true
            }
            try? await Task.sleep(for: .milliseconds(50))
        }
        return false
    }

    private static func expected(_ shard: ClusterMap.Shard, _ view: ClusterView) -> ExpectedPeer {
        .shard(shard.id) { view.snapshot?.dataID(ofShard: shard.id) ?? 0 }
    }

    private func shardsConfirm(_ map: ClusterMap) async -> Bool {
        await withTaskGroup(of: Bool.self) { group in
            for shard in map.shards {
                let client = makeClient(shard, Self.expected(shard, membership.view), 1)
                group.addTask {
                    let answer = try? await client.call(.identity, [], timeout: .seconds(2))
                    await client.shutdown()
                    return answer != nil
                }
            }
            return await group.allSatisfy(\.self)
        }
    }

    /// Time that shards have to start before this service is ready without them.
    private static let shardsPatience = Duration.seconds(5)

    /// Sets the readiness of this service by that of the shards, and returns whether it is ready.
    /// - Parameter mayWait: all shards must take appends; otherwise one is enough.
    private func tellReadiness(mayWait: Bool) -> Bool {
        let shards = router.shards
        let remarks = shards.compactMap { shard in shard.doubt.map { "\(shard.name): \($0)" } }
        let isReady = mayWait ? remarks.isEmpty : remarks.count < shards.count
        if isReady {
            node.setReady(nil, remarks: remarks)
        } else {
            node.setReady((mayWait ? "waiting for shards" : "no shard takes appends") + ": " + remarks.joined(separator: "; "))
        }
        return isReady
    }

    private func addShardMetrics(_ count: Int) {
        for number in 0..<count {
            node.metrics.gauge("sluice_ingest_shard_up", "1 if the shard takes appends", labels: [("shard", "\(number)")]) { [router] in
                let shards = router.shards
                return shards.indices.contains(number) && shards[number].doubt == nil ? 1 : 0
            }
        }
    }

    /// The keys for wire calls. They come with the cluster map, so this throws `.notReady` before there is one.
    private func wireKeys() throws(ProtocolError) -> KeyRing {
        try node.requireReady()
        return membership.view.keys
    }

    private func append(_ call: FrameCall) async throws {
        try node.requireReady()
        let principal = try membership.view.keys.admit(call.authorization, for: .write)
        let named = call.frame.context.project
        guard named == 0 || named == principal.project else {
            throw ProtocolError(.forbidden, "the key is of project \(principal.project), the request is for project \(named)")
        }
        let project = principal.project
        let body = call.frame.body
        let (read, delivery) =
            try await body.count <= Self.shortBytes
            ? self.read(body, project) : parsing.run(project) { [self] in try self.read(body, project) }
        let outcome: AppendOutcome
        do {
            try Toll(intake.limits, whole: body.count, principal, from: call.address).admitWhole(read, principal)
            outcome = try await intake.store(read, delivery: delivery, sender: Sender(principal), logger: node.logger)
        } catch {
            intake.noteRefused(error.limit, node.logger)
            throw error
        }
        if incoming.wants(outcome) { noteIncoming(outcome, read, body, principal) }
        var answer = call.writer()
        try await answer.send(.appendResult, outcome.body)
        try await answer.end(rows: outcome.accepted)
    }

    private func noteIncoming(_ outcome: AppendOutcome, _ read: ReadBatch, _ body: [UInt8], _ principal: KeyRing.Principal) {
        // Rows that were rejected are not in the batch that was read, so it is decoded once more.
        let sent = outcome.rejected.isEmpty ? nil : try? Append(body: body).batch
        incoming.note(outcome, of: read, from: RequestOrigin(principal, "append")) { row in
            guard let sent, row < sent.count else { return RejectedEvent.Content([]) }
            return RejectedEvent.Content(sent.event(row).json.encode())
        }
    }

    /// Until cancelled: announces the wire address of this process to the coordinator, and then that it stops (`PROTOCOL.md` section 11,
    /// "Addresses of ingests").
    private func announce() async {
        var isHeard = false
        while !Task.isCancelled {
            if let address = announcedAddress {
                let document: JSONValue = ["address": address]
                isHeard = (try? await membership.call(.announce, document.encode(), timeout: .seconds(5))) != nil
            }
            try? await Task.sleep(for: isHeard ? .seconds(5) : .milliseconds(500))
        }
        guard isHeard, let address = announcedAddress else { return }
        // A task of its own, since this one is cancelled.
        await Task {
            let document: JSONValue = ["address": address, "stops": true]
            _ = try? await membership.call(.announce, document.encode(), timeout: .seconds(1))
        }.value
    }

    /// Nil until the port is open.
    private var announcedAddress: JSONValue? {
        node.wirePort.map { port in
            let set = node.settings.text("advertise")
            // Without a host it is the one that the call comes from.
            let isAny = ["0.0.0.0", "::", "[::]", ""].contains(node.host)
            return .text(!set.isEmpty ? set : isAny ? ":\(port)" : addressText(node.host, port))
        }
    }

    /// Max bytes of a batch that is read on the calling thread; longer ones use a thread of `parsing`.
    private static let shortBytes = 64 << 10

    private func read(_ body: [UInt8], _ project: UInt32) throws(ProtocolError) -> (ReadBatch, ShardRouter.Delivery) {
        let message = try decoding("append") { () throws(ByteError) in try Append(body: body) }
        guard message.part <= ShardRouter.Delivery.partMax else {
            throw ProtocolError(.invalidMessage, "part \(message.part) is over the limit of \(ShardRouter.Delivery.partMax)")
        }
        guard isValidUTF8(message.idempotencyKey.bytes) else { throw ProtocolError(.invalidMessage, "the idempotency key is not UTF-8") }
        let reader = BatchReader(now: WallClock.now(), idempotencyKey: message.idempotencyKey, eventsMax: intake.eventsMax)
        let delivery = ShardRouter.Delivery(
            of: message, fingerprint: CRC32C.checksum(body, range: Append.contentStart..<body.count), project: project)
        var read = reader.columns(message.batch)
        if let tables = intake.rules.tables(of: project) { try read.apply(tables, isNumbered: true) }
        return (read, delivery)
    }
}
