import FunnelModel
import FunnelProtocol
import Logging
import Metadata
import Notifications
import RPC
import ServiceHost
import ServiceLifecycle
import ServiceRuntime

/// Keeps the metadata, plans queries, asks the shards and merges their answers.
package final class CoordinatorService: Sendable {
    package static let table = SettingsTable(
        program: "sluice-coordinator", summary: "keeps definitions and the cluster map, and answers funnel queries",
        example:
            "SLUICE_CLUSTER_SECRET=… SLUICE_READ_KEYS=… sluice-coordinator --data /var/lib/sluice-coordinator --shards 10.0.0.6:8100,10.0.0.7:8101",
        settings: CommonSettings.all(http: 8090, wire: 8091) + [
            Setting("data", .text, default: "", "data directory, for the metadata; required"),
            Setting("shards", .list, default: "", "wire addresses of all shards, host:port, comma-separated, in order of their numbers"),
            Setting("write-keys", .list, secret: true, "keys that may append events: KEY or PROJECT:KEY, comma-separated"),
            Setting("read-keys", .list, secret: true, "keys that may query, in the same form"),
            Setting("admin-keys", .list, secret: true, "keys that may do everything, in the same form"),
            Setting(
                "new-shards", .list, default: "",
                "numbers of shards that may have other data than before, such as an empty disk, comma-separated; once each, for this start"
            ),
            Setting("queries-running", .integer(1...1_000), default: "8", "max queries answered at a time"),
            Setting(
                "chart-library", .text, default: "", "path of Chart.js for the dashboard; by default that of Debian's libjs-chart.js"),
            Setting(
                "queries-queued", .integer(0...10_000), default: "64", "max queries that wait, half of them for one project"),
            Setting("alert-seconds", .integer(1...3_600), default: "60", "seconds between two evaluations of alert rules"),
        ] + NoticeSettings.all + PortSettings.all)

    private let node: Node
    private let directory: CoordinatorDirectory
    private let map: ClusterMap
    private let fleet: ShardFleet
    private let engine: QueryEngine
    private let savedFunnels: SavedFunnels
    private let savedRules: SavedRules
    private let apiKeys: APIKeys
    private let projects: ProjectStore
    private let live: LiveHub
    private let ingests: IngestList
    private let desk: NoticeDesk
    private let alerts: AlertEvaluator
    private let reports: ReportScheduler
    private let cohorts: CohortSync

    /// The services of the process; they stop in reverse order. Throws `InvalidDocument` for faults of settings.
    package static func services(_ run: Program.Run) async throws -> [any Service] {
        let node = try Node(.coordinator, run)
        let service = try await CoordinatorService(node)
        let http = node.router()
        try service.addRoutes(to: http)
        let routes: [FrameServer.Route] = [
            .init(.snapshot, .services([.ingest, .shard])) { try await service.giveSnapshot($0) },
            .init(.keys, .services([.ingest])) { try await service.giveKeys($0) },
            .init(.rules, .services([.ingest])) { try await service.giveRules($0) },
            .init(.users, service.readers) { try await service.users($0) },
            .init(.announce, .services([.ingest])) { try await service.hearIngest($0) },
        ]
        return [
            AtShutdown { service.close() }, AtShutdown { await service.apiKeys.keepUses() },
            AtShutdown {
                await service.fleet.shutdown()
                await service.ingests.shutdown()
                await service.engine.aside.shutdown()
            },
            Background { await service.tellReadiness() }, Background { await service.followData() },
            Background { await service.apiKeys.run() }, Background { await service.ingests.follow() },
            IdleTrim { service.engine.gate.load.running > 0 }, try node.httpService(http),
            node.wireService(routes + service.reportRoutes, as: service.identity) { service.map.shards.count },
            // Stops first, so that calls that wait for a newer snapshot don't delay the stop.
            AtShutdown {
                service.directory.registry.endWaiting()
                service.apiKeys.endWaiting()
                service.savedRules.endWaiting()
            },
            Background { await service.live.run() }, Background { await service.desk.run() },
            Background { await service.alerts.run(every: .seconds(node.settings.integer("alert-seconds"))) },
            Background { await service.reports.run() }, Background { await service.cohorts.run() },
        ]
    }

    private func addRoutes(to router: ServiceRouter) throws {
        let callers = Callers(keys: { [apiKeys] in apiKeys.ring }, guesses: node.guesses, cluster: map.clusterID)
        let site = try DashboardSite(chartLibrary: node.settings.text("chart-library"))
        if site.lacksCharts {
            node.logger.notice("Chart.js was not found: the dashboard shows tables in place of charts; install libjs-chart.js")
        }
        let routes = CoordinatorRoutes(
            engine: engine, savedFunnels: savedFunnels, savedRules: savedRules, apiKeys: apiKeys, projects: projects, callers: callers,
            hub: live, alerts: alerts, desk: desk, scheduler: reports, cohorts: cohorts,
            annotations: SavedAnnotations(directory.store, savedFunnels, logger: node.logger), applied: AppliedSets(directory.store),
            ingests: ingests, site: site)
        routes.add(to: router)
    }

    private init(_ node: Node) async throws {
        self.node = node
        let (shards, keyList) = try Self.configuration(node.settings)
        try requireKeys(node, KeyRing(keyList))
        Self.warnOfShortKeys(node)
        let path = node.settings.text("data")
        let directory = try await CoordinatorDirectory(path, lock: try await node.lockDirectory(path))
        self.directory = directory
        apiKeys = try await APIKeys(
            KeyStore(directory.store), environment: keyList, operators: KeyRing.operators(node.settings.list("admin-keys")),
            logger: node.logger)
        map = try await Self.takeConfiguration(shards, keyList, directory, node)
        projects = ProjectStore(directory.store)
        try await projects.ensure(Set(keyList.map(\.project)).union([1]), now: WallClock.now() / 1_000_000)
        let savedFunnels = SavedFunnels(directory.store, logger: node.logger)
        self.savedFunnels = savedFunnels
        let savedRules = try await SavedRules(directory.store, logger: node.logger)
        self.savedRules = savedRules
        node.metrics.gauge("sluice_coordinator_rules_revision", "newest revision of normalisation rules; 0: no project has any") {
            Double(savedRules.newest)
        }
        let identity = node.identity { directory.registry.state }
        fleet = ShardFleet(
            map, service: identity, dataID: { directory.registry.dataID(ofShard: $0) }, group: node.group, tls: node.clientTLS,
            logger: node.logger)
        fleet.addMetrics(to: node.metrics)
        ingests = IngestList { host, port in
            FrameClient(
                name: "ingest", host: host, port: port, service: identity, expecting: .ingest, group: node.group, tls: node.clientTLS,
                connections: 1, logger: node.logger)
        }
        node.addClusterMetrics { directory.registry.state }
        let notices = try NoticeSettings(node.settings)
        let sender = NoticeSender(notices.sender)
        desk = try await NoticeDesk(
            directory.store, channels: SavedChannels(directory.store, settings: notices, logger: node.logger),
            sender: sender, metrics: node.metrics, logger: node.logger)
        let gate = AdmissionGate(
            running: node.settings.integer("queries-running"), queued: node.settings.integer("queries-queued"))
        let engine = QueryEngine(fleet, savedFunnels: savedFunnels, gate: gate, metrics: node.metrics, logger: node.logger)
        self.engine = engine
        let desk = desk
        alerts = AlertEvaluator(
            AlertBook(directory.store, desk: desk, publicURL: notices.publicURL, logger: node.logger),
            .init {
                try await savedFunnels.get($0, project: $1)?.definition
            } channels: {
                try await desk.channels.ids(project: $0)
            } answer: {
                try await Self.answer($0, $1, by: engine)
            }, metrics: node.metrics, logger: node.logger)
        reports = ReportScheduler(
            ReportBook(directory.store, logger: node.logger),
            .init {
                try await savedFunnels.get($0, project: $1)?.definition
            } channels: {
                try await desk.channels.ids(project: $0)
            } answer: {
                try await Self.answer($0, $1, by: engine)
            } submit: {
                try await desk.submit($0, to: $1, project: $2)
            }, publicURL: notices.publicURL, logger: node.logger)
        cohorts = CohortSync(
            CohortBook(directory.store, logger: node.logger), .init(engine, savedFunnels, desk.channels, sender), metrics: node.metrics,
            logger: node.logger)
        live = LiveHub(
            .init { project in
                await engine.totals(project: project).map { $0.totals?.taken } + [savedFunnels.changes]
            } evaluate: { question in
                try await Self.answer(question.body, question.project, by: engine, within: LiveHub.deadline)
            }, metrics: node.metrics, logger: node.logger)
    }

    /// The answer of a funnel now.
    /// - Parameter body: of `POST /v1/query`.
    private static func answer(
        _ body: [UInt8], _ project: UInt32, by engine: QueryEngine, within deadline: Duration = .seconds(30)
    ) async throws -> JSONValue {
        var query = try QueryRequest.parse(try JSONParser.parse(body), now: WallClock.now())
        query.deadline = min(query.deadline, deadline)
        return try await engine.report(query, project: project).json
    }

    private var identity: ServiceSelf {
        let registry = directory.registry
        return node.identity { registry.state }
    }

    private static func takeConfiguration(
        _ shards: [(host: String, port: Int)], _ keys: [ClusterSnapshot.Key], _ directory: CoordinatorDirectory, _ node: Node
    ) async throws -> ClusterMap {
        let snapshot = try await directory.registry.configure(shards: shards, keys: keys, isCopy: directory.isCopy)
        if directory.isCopy {
            node.logger.notice(
                "the data directory was copied or moved: its metadata get a new lineage",
                metadata: ["lineage": "\(idText(snapshot.lineage))"])
        }
        try directory.claim(snapshot.map.clusterID)
        return snapshot.map
    }

    private func close() {
        do {
            try directory.store.close()
        } catch {
            node.logger.error("the metadata could not be closed", metadata: ["error": "\(words(error))"])
        }
    }

    /// Until cancelled: sets the readiness, by whether a shard can be reached.
    private func tellReadiness() async {
        while !Task.isCancelled {
            let conditions = fleet.links.map { ($0.name, $0.watch.condition) }
            let remarks = conditions.compactMap { name, condition -> String? in
                switch condition {
                case .up: nil
                case .down(let reason): "\(name) is down: \(reason)"
                case .unknown(let reason): "\(name): \(reason ?? "it has not answered yet")"
                }
            }
            let isReached = conditions.contains { if case .up = $0.1 { true } else { false } }
            if isReached {
                node.setReady(nil, remarks: remarks)
            } else {
                node.setReady("no shard can be reached: " + remarks.joined(separator: "; "))
            }
            try? await Task.sleep(for: .milliseconds(100))
        }
    }

    /// Until cancelled: stores the ids of the data that shards have open. From then on a shard must have these data.
    private func followData() async {
        var newShards = Set(node.settings.list("new-shards").compactMap { Int($0) })
        if !newShards.isEmpty {
            node.logger.warning(
                "shards of --new-shards may have other data than before; start without it next time",
                metadata: ["shards": "\(newShards.sorted())"])
        }
        let limit = LogLimit(lines: 5)
        while !Task.isCancelled {
            for link in fleet.links {
                let told = link.watch.dataID
                guard told != 0 else { continue }
                let place: Logger.Metadata = ["shard": "\(link.id)", "data_id": "\(idText(told))"]
                do {
                    switch try await directory.registry.note(dataID: told, ofShard: link.id, mayReplace: newShards.contains(link.id)) {
                    case .same: newShards.remove(link.id)
                    case .taken:
                        newShards.remove(link.id)
                        node.logger.notice("the shard's data are known by their id from now on", metadata: place)
                    case .refused:
                        limit.log(
                            node.logger, .error, "data of shard \(link.id)", "a shard has other data open than the cluster knows",
                            place)
                    }
                } catch is RevisionConflict {
                    // The metadata have just got a new lineage; the next round tries again.
                } catch  where Task.isCancelled {
                    return
                } catch {
                    limit.log(node.logger, .error, "data ids", "data ids could not be stored", ["error": "\(words(error))"])
                }
            }
            try? await Task.sleep(for: .milliseconds(250))
        }
    }

    private static let keySettings: [(name: String, role: KeyRole)] = [
        ("write-keys", .write), ("read-keys", .read), ("admin-keys", .admin),
    ]

    /// Warns of keys that can be guessed. They are accepted, since release 0.1 accepted them.
    private static func warnOfShortKeys(_ node: Node) {
        for (name, _) in keySettings {
            let places = KeyRing.shortEntries(node.settings.list(name))
            guard !places.isEmpty else { continue }
            node.logger.warning(
                "keys of fewer than \(KeyRing.shortKeyBytes) bytes can be guessed; give longer ones",
                metadata: ["setting": "\(name)", "entries": "\(places.map(String.init).joined(separator: ", "))"])
        }
    }

    private static func configuration(
        _ settings: Settings
    ) throws(InvalidDocument) -> (shards: [(host: String, port: Int)], keys: [ClusterSnapshot.Key]) {
        var faults: [FieldFault] = []
        if settings.text("data").isEmpty { faults.append(FieldFault("--data", "is required")) }
        let shards = settings.list("shards").compactMap { text -> (host: String, port: Int)? in
            let address = parseAddress(text)
            if address == nil { faults.append(FieldFault("--shards", addressFault(text) ?? "")) }
            return address
        }
        let places = Dictionary(grouping: shards.indices) { addressText(shards[$0].host, shards[$0].port) }
        for (address, numbers) in places.sorted(by: { $0.value[0] < $1.value[0] }) where numbers.count > 1 {
            let names = numbers.map { "\($0)" }.joined(separator: ", ")
            faults.append(FieldFault("--shards", "gives \(address) to shards \(names); each shard needs its own address"))
        }
        for text in settings.list("new-shards") where !(Int(text).map(shards.indices.contains) ?? false) {
            faults.append(FieldFault("--new-shards", "\"\(text)\" is not the number of a shard, 0 to \(max(0, shards.count - 1))"))
        }
        if shards.isEmpty || shards.count > Limits.shards {
            faults.append(FieldFault("--shards", "must name 1 to \(Limits.shards) shards"))
        }
        var keys: [ClusterSnapshot.Key] = []
        for (name, role) in keySettings {
            do {
                keys += try KeyRing.parse(settings.list(name), role: role, setting: name)
            } catch {
                faults += error.faults
            }
        }
        for key in keys where keys.contains(where: { $0.hash == key.hash && $0.project != key.project }) {
            faults.append(FieldFault("keys", "one key is given to projects \(key.project) and others; a key belongs to one project"))
            break
        }
        if !faults.isEmpty { throw InvalidDocument(faults) }
        return (shards, keys)
    }

    // MARK: - Wire calls

    private var readers: FrameServer.Callers { .keys(.read) { [apiKeys] in apiKeys.ring } }

    private var reportRoutes: [FrameServer.Route] {
        ReportEndpoint.all.compactMap { report in
            report.call.map { call in
                .init(call, readers) { [self] in
                    try await answer($0) { [engine] in try await report.run(engine, $0, $1, $2) }
                }
            }
        }
    }

    private func giveSnapshot(_ call: FrameCall) async throws {
        let request = try decoding("snapshot request") { () throws(ByteError) in try SnapshotRequest(body: call.frame.body) }
        let patience = min(Duration.milliseconds(Int(request.waitMilliseconds)), .seconds(25))
        let (found, wasBehind) = try await directory.registry.snapshot(for: request, patience: patience)
        guard var snapshot = found else { throw ProtocolError(.notReady, "the coordinator has no cluster map") }
        if wasBehind {
            node.logger.error(
                "a service has newer metadata than this coordinator, whose directory was put back to an earlier state; the metadata get a new lineage",
                metadata: [
                    "known": "\(request.known)", "revision": "\(snapshot.revision)", "peer": "\(call.peer.map { "\($0)" } ?? "client")",
                ])
        }
        if request.origin == nil { snapshot.lineage = 0 }
        var answer = call.writer()
        try await answer.send(.snapshot, snapshot.body)
        try await answer.end(rows: 1)
    }

    private func giveKeys(_ call: FrameCall) async throws {
        let request = try decoding("key list request") { () throws(ByteError) in try KeyListRequest(body: call.frame.body) }
        let list = await apiKeys.answer(request, now: WallClock.now() / 1_000_000)
        var answer = call.writer()
        try await answer.send(.keyList, list.body)
        try await answer.end(rows: 1)
    }

    private func hearIngest(_ call: FrameCall) async throws {
        let document = try JSONParser.parse(call.frame.body)
        let address = document["address"]?.asString?.string ?? ""
        if document["stops"] == true {
            try await ingests.forget(address, from: call.callerAddress)
        } else {
            try ingests.hear(address, from: call.callerAddress)
        }
        try await send([:], call)
    }

    private func giveRules(_ call: FrameCall) async throws {
        let request = try decoding("rule list request") { () throws(ByteError) in try RuleListRequest(body: call.frame.body) }
        let list = await savedRules.answer(request)
        var answer = call.writer()
        try await answer.send(.ruleList, list.body)
        try await answer.end(rows: 1)
    }

    /// Answers with the report that a document asks for.
    private func answer(
        _ call: FrameCall, _ report: @escaping @Sendable (JSONValue, Int64, UInt32) async throws -> JSONValue
    ) async throws {
        let project = try admit(call)
        let answer = try await engine.tally.count(project) {
            try await cancelling(call) { try await report(try JSONParser.parse(call.frame.body), WallClock.now(), project) }
        }
        try await send(answer, call)
    }

    private func send(_ report: JSONValue, _ call: FrameCall) async throws {
        let body = report.encode()
        guard body.count <= FrameKind.mergedResult.bodyMax else {
            let most = FrameKind.mergedResult.bodyMax
            throw ProtocolError(
                .tooLarge, "the answer has \(body.count) bytes, a frame at most \(most): ask for fewer rows or buckets, or over HTTP")
        }
        var answer = call.writer()
        try await answer.send(.mergedResult, body)
        try await answer.end(rows: 1)
    }

    private func users(_ call: FrameCall) async throws {
        let project = try admit(call)
        let page = try await engine.tally.count(project, isPartial: { !$0.completeness.missing.isEmpty }) {
            try await cancelling(call) { [engine] in
                let request = try UsersRequest.parse(try JSONParser.parse(call.frame.body), now: WallClock.now())
                return try await engine.users(request, project: project)
            }
        }
        var answer = call.writer()
        let rows = page.users.count
        // The page's completeness first: a partial list must not pass as a complete one.
        answer.gather(.mergedResult, page.json(withUsers: false).encode())
        for start in stride(from: 0, to: page.users.count, by: UserList.usersPerFrame) {
            let users = Array(page.users[start..<min(page.users.count, start + UserList.usersPerFrame)])
            answer.gather(.userList, UserList(users: users).body)
        }
        // The page is not used after this, so its memory is free while the answer is sent.
        try await answer.sendGathered()
        try await answer.end(rows: rows)
    }

    private func admit(_ call: FrameCall) throws -> UInt32 {
        let principal = try apiKeys.ring.admit(call.authorization, for: .read)
        let named = call.frame.context.project
        guard named == 0 || named == principal.project else {
            throw ProtocolError(.forbidden, "the key is of project \(principal.project), the frame names \(named)")
        }
        return principal.project
    }

    /// Runs `body`. If the caller leaves or its deadline passes, this cancels it, and with it the scans on shards.
    private func cancelling<T: Sendable>(_ call: FrameCall, _ body: @escaping @Sendable () async throws -> T) async throws -> T {
        let task = Task { try await body() }
        call.onCancel { task.cancel() }
        return try await task.value
    }
}
