import FunnelEdge
import FunnelModel
import FunnelProtocol
import FunnelRPC
import FunnelRuntime
import Glibc
import Logging
import ServiceLifecycle

/// Holds the metadata, plans queries, asks the shards and merges what they say.
package final class CoordinatorService: Sendable {
    package static let table = SettingsTable(
        program: "sluice-coordinator", summary: "keeps definitions and the cluster map, and answers funnel queries",
        example: "SLUICE_CLUSTER_SECRET=… SLUICE_READ_KEYS=… sluice-coordinator --data /var/lib/sluice-coordinator --shards 10.0.0.6:8100,10.0.0.7:8101",
        settings: CommonSettings.all(http: 8090, wire: 8091) + [
            Setting("data", .text, default: "", "directory for the metadata"),
            Setting("shards", .text, default: "", "wire addresses of all shards, host:port, in the order of their numbers, by commas"),
            Setting("write-keys", .text, secret: true, "keys that may append events: KEY or PROJECT:KEY, by commas"),
            Setting("read-keys", .text, secret: true, "keys that may query"),
            Setting("admin-keys", .text, secret: true, "keys that may do everything"),
            Setting("queries-running", .integer(1...1_000), default: "8", "queries answered at the same time"),
            Setting("chart-library", .text, default: "", "file of Chart.js for the dashboard; by default where Debian's libjs-chart.js has it"),
            Setting("queries-queued", .integer(0...10_000), default: "64", "queries that wait, of one project half as many; more are refused"),
        ])

    private let node: Node
    private let registry: ClusterRegistry
    private let snapshot: ClusterSnapshot
    private let fleet: ShardFleet
    private let engine: QueryEngine
    private let catalogue: FunnelCatalogue
    private let keys: KeyRing
    private let live: LiveHub

    package static func services(_ run: Program.Run) async throws -> [any Service] {
        let node = try Node(.coordinator, run)
        let service = try await CoordinatorService(node)
        let http = node.router()
        try service.addRoutes(to: http)
        let routes: [FrameServer.Route] = [
            .init(.snapshot, .services([.ingest, .shard])) { try await service.giveSnapshot($0) },
            .init(.users, .anyone) { try await service.users($0) },
        ]
        node.setReady(nil)
        return [
            AtShutdown {
                await service.fleet.shutdown()
                await service.engine.aside.shutdown()
            },
            try node.httpService(http), node.wireService(routes + service.reportRoutes, as: service.identity),
            // Stops first, so that calls which wait for a newer map don't hold up the rest.
            AtShutdown { service.registry.endWaiting() },
            Background { await service.live.run() },
        ]
    }

    private func addRoutes(to router: EdgeRouter) throws {
        let callers = Callers(keys: keys, cluster: snapshot.map.clusterID)
        let site = try DashboardSite(chartLibrary: node.settings.text("chart-library"))
        if site.lacksCharts { node.logger.notice("Chart.js was not found: the dashboard shows tables in place of charts; install libjs-chart.js") }
        site.add(to: router)
        CoordinatorRoutes(engine: engine, catalogue: catalogue, callers: callers).add(to: router)
        SessionRoutes(callers: callers, isSecure: node.serverTLS != nil).add(to: router)
        StatusRoutes(callers: callers, engine: engine).add(to: router)
        LiveRoutes(callers: callers, hub: live).add(to: router)
    }

    private init(_ node: Node) async throws {
        self.node = node
        let (shards, keyList) = try Self.configuration(node.settings)
        let directory = node.settings.text("data")
        guard mkdir(directory, 0o700) == 0 || errno == EEXIST else {
            throw InvalidDocument([FieldFault("--data", "cannot create \(directory): \(String(cString: strerror(errno)))")])
        }
        let store = try SQLiteMetadataStore(path: directory + "/metadata.sqlite")
        registry = ClusterRegistry(store)
        keys = KeyRing(keyList)
        try requireKeys(node, keys)
        let snapshot = try await registry.configure(shards: shards, keys: keyList)
        self.snapshot = snapshot
        let catalogue = FunnelCatalogue(store, logger: node.logger)
        self.catalogue = catalogue
        let identity = node.identity { (snapshot.map.clusterID, snapshot.map.epoch) }
        fleet = ShardFleet(snapshot.map, service: identity, group: node.group, tls: node.clientTLS, logger: node.logger)
        let gate = AdmissionGate(
            running: node.settings.integer("queries-running"), queued: node.settings.integer("queries-queued"))
        let engine = QueryEngine(fleet, catalogue: catalogue, gate: gate, metrics: node.metrics)
        self.engine = engine
        live = LiveHub(
            .init { project in
                await engine.totals(project: project).map { $0.totals?.taken } + [catalogue.changes]
            } evaluate: { question in
                var query = try QueryRequest.parse(try JSONParser.parse(question.body), now: WallClock.now())
                query.deadline = min(query.deadline, LiveHub.deadline)
                return try await engine.report(query, project: question.project).json
            }, metrics: node.metrics, logger: node.logger)
    }

    private var identity: ServiceSelf {
        let map = snapshot.map
        return node.identity { (map.clusterID, map.epoch) }
    }

    private static func configuration(
        _ settings: Settings
    ) throws(InvalidDocument) -> (shards: [(host: String, port: Int)], keys: [ClusterSnapshot.Key]) {
        var faults: [FieldFault] = []
        if settings.text("data").isEmpty { faults.append(FieldFault("--data", "is required")) }
        let shards = settings.list("shards").compactMap { text -> (host: String, port: Int)? in
            let address = parseAddress(text)
            if address == nil || address?.port == 0 { faults.append(FieldFault("--shards", "\"\(text)\" is not host:port")) }
            return address
        }
        if shards.isEmpty || shards.count > Limits.shards { faults.append(FieldFault("--shards", "must name 1 to \(Limits.shards) shards")) }
        var keys: [ClusterSnapshot.Key] = []
        for (name, role) in [("write-keys", KeyRole.write), ("read-keys", .read), ("admin-keys", .admin)] {
            do {
                keys += try KeyRing.parse(settings.list(name), role: role, setting: name)
            } catch {
                faults += error.faults
            }
        }
        for key in keys where keys.contains(where: { $0.hash == key.hash && $0.project != key.project }) {
            faults.append(FieldFault("keys", "one key is given to projects \(key.project) and others; a key opens one project"))
            break
        }
        if !faults.isEmpty { throw InvalidDocument(faults) }
        return (shards, keys)
    }

    // MARK: - Wire calls

    private var reportRoutes: [FrameServer.Route] {
        let engine = engine
        return [
            .init(.query, .anyone) { call in
                try await self.answer(call) { try await engine.report(try QueryRequest.parse($0, now: $1), project: $2).json }
            },
            .init(.times, .anyone) { call in
                try await self.answer(call) { try await engine.times(try TimesRequest.parse($0, now: $1), project: $2).json }
            },
            .init(.explain, .anyone) { call in
                try await self.answer(call) { try await engine.explain(try ExplainRequest.parse($0, now: $1), project: $2).json }
            },
            .init(.paths, .anyone) { call in
                try await self.answer(call) { try await engine.paths(try PathsRequest.parse($0, now: $1), project: $2) }
            },
            .init(.predictors, .anyone) { call in
                try await self.answer(call) { try await engine.predictors(try PredictorsRequest.parse($0, now: $1), project: $2) }
            },
        ]
    }

    private func giveSnapshot(_ call: FrameCall) async throws {
        let request = try decoding("snapshot request") { () throws(ByteError) in try SnapshotRequest(body: call.frame.body) }
        let patience = min(Duration.milliseconds(Int(request.waitMilliseconds)), .seconds(25))
        let snapshot = try await registry.snapshot(newerThan: request.known, patience: patience) ?? self.snapshot
        var answer = call.writer()
        try await answer.send(.snapshot, snapshot.body)
        try await answer.end(rows: 1)
    }

    /// Answers with the report that a document asks for.
    private func answer(
        _ call: FrameCall, _ report: @escaping @Sendable (JSONValue, Int64, UInt32) async throws -> JSONValue
    ) async throws {
        let project = try admit(call)
        let answer = try await cancelling(call) { try await report(try JSONParser.parse(call.frame.body), WallClock.now(), project) }
        try await send(answer, call)
    }

    private func send(_ report: JSONValue, _ call: FrameCall) async throws {
        let body = report.encoded
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
        let page = try await cancelling(call) { [engine] in
            let request = try UsersRequest.parse(try JSONParser.parse(call.frame.body), now: WallClock.now())
            return try await engine.users(request, project: project)
        }
        var answer = call.writer()
        // The page's own facts first: a list of a partial answer must not pass as a whole one.
        try await answer.send(.mergedResult, page.json(withUsers: false).encoded)
        for start in stride(from: 0, to: page.users.count, by: UserList.usersPerFrame) {
            let users = Array(page.users[start..<min(page.users.count, start + UserList.usersPerFrame)])
            try await answer.send(.userList, UserList(users: users).body)
        }
        try await answer.end(rows: page.users.count)
    }

    private func admit(_ call: FrameCall) throws -> UInt32 {
        let principal = try keys.admit(call.authorization, for: .read)
        let named = call.frame.context.project
        guard named == 0 || named == principal.project else {
            throw ProtocolError(.forbidden, "the key is of project \(principal.project), the frame names \(named)")
        }
        return principal.project
    }

    /// Runs `body` so that the caller's going away, or its deadline, cancels it and with it the scans.
    private func cancelling<T: Sendable>(_ call: FrameCall, _ body: @escaping @Sendable () async throws -> T) async throws -> T {
        let task = Task { try await body() }
        call.onCancel { task.cancel() }
        return try await task.value
    }
}
