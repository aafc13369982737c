import Codec
import EventStorage
import FunnelMatch
import FunnelModel
import FunnelProtocol
import FunnelQuery
import Logging
import NIOCore
import NIOPosix
import RPC
import ServiceHost
import ServiceLifecycle
import ServiceRuntime
import Synchronization

/// One shard: keeps the events of its buckets and matches funnels over them.
package final class ShardService: Sendable {
    package static let table = SettingsTable(
        program: "sluice-shard", summary: "stores the events of a share of the users and matches funnels over them",
        example: "SLUICE_CLUSTER_SECRET=… sluice-shard --shard 0 --data /var/lib/sluice --coordinator 10.0.0.5:8091",
        settings: [Setting("shard", .integer(0...(Limits.shards - 1)), default: "0", "this shard's number in the cluster map, from 0")]
            + CommonSettings.all(http: 8200, wire: 8100, note: "; the shard's number is added to the default") + Membership.settings + [
                Setting("seal-rows", .integer(1_000...10_000_000), default: "500000", "rows in memory at which a seal is due"),
                Setting("merge-mb", .integer(1...100_000), default: "128", "max rate at which merges write, in MiB per second"),
                Setting("reserve-mb", .integer(0...1_000_000), default: "256", "min free disk space, in MiB; below it appends are refused"),
                Setting(
                    "event-names-max", .integer(1...1_000_000), default: "\(Limits.eventNamesPerProject)",
                    "max event names of a project on this shard; events with new ones above it are rejected"),
                Setting(
                    "property-keys-max", .integer(1...1_000_000), default: "\(Limits.propertyKeysPerProject)",
                    "max property keys of a project on this shard; properties with new ones above it are left out of their events"),
                Setting(
                    "users-per-bucket-max", .integer(1...Limits.usersPerBucket), default: "\(Limits.usersPerBucket)",
                    "max users of a project in one of the 1,024 buckets; events of new users above it are rejected"),
                Setting(
                    "new-names-per-hour", .integer(0...1_000_000), default: "100",
                    "max new event names, and property keys, of a project per hour after the first 1,000; 0 = none; admin keys have none"
                ),
                Setting("query-threads", .integer(1...256), default: "2", "max scans that run at a time; projects take turns"),
                Setting(
                    "query-queue", .integer(0...10_000), default: "64", "max queries that wait, half of them for one project"),
            ] + PortSettings.all)

    private struct Open {
        var store: ShardStore<POSIXFileSystem>
        var appender: GroupAppender
        var map: ClusterMap
    }

    private let node: Node
    private let membership: Membership
    private let shard: Int
    private let open = Mutex<Open?>(nil)
    private let failure: AsyncStream<StoreError>
    private let fail: AsyncStream<StoreError>.Continuation
    private let writer = NIOThreadPool(numberOfThreads: 1)
    private let sealer = NIOThreadPool(numberOfThreads: 1)
    private let calmSealer = NIOThreadPool(numberOfThreads: 1)
    private let merger = NIOThreadPool(numberOfThreads: 1)
    /// Runs the short phases of seals and merges for which appends wait.
    private let switcher = NIOThreadPool(numberOfThreads: 1)
    private let workers: QueryWorkers
    private let appendLatency: LatencyHistogram
    private let queryLatency: LatencyHistogram
    private let syncLatency: LatencyHistogram
    private let appendedRows: Counter

    /// The services of the process; they stop in reverse order. Throws `InvalidDocument` for faults of settings.
    package static func services(_ run: Program.Run) async throws -> [any Service] {
        let node = try Node(.shard, run)
        let service = try await ShardService(node)
        let identity = node.identity { service.membership.view.cluster }
        // Services stop in reverse order: the wire server first, the store last.
        return [
            AtShutdown { await service.close() }, service.membership.service, try node.httpService(node.router()),
            Background { try await service.openStore() }, Background { try await service.watchDisk() },
            Background { await service.seal() }, Background { await service.merge() },
            node.wireService(service.routes, as: identity, shard: service.shard) {
                service.membership.view.snapshot?.map.shards.count ?? 0
            } dataID: {
                service.open.withLock { $0?.store.dataID ?? 0 }
            },
        ]
    }

    private init(_ node: Node) async throws {
        self.node = node
        membership = try await Membership(node)
        shard = node.settings.integer("shard")
        (failure, fail) = AsyncStream.makeStream(of: StoreError.self)
        workers = QueryWorkers(threads: node.settings.integer("query-threads"), queued: node.settings.integer("query-queue"))
        appendLatency = node.metrics.latency("sluice_shard_append_seconds", "time to store an append durably, in seconds, with queueing")
        queryLatency = node.metrics.latency("sluice_shard_query_seconds", "time of a partial query, in seconds, with queueing")
        syncLatency = node.metrics.latency("sluice_store_sync_seconds", "time of one sync of the log, in seconds, for a group of appends")
        appendedRows = node.metrics.counter(
            "sluice_shard_rows_appended_total", "rows stored durably, without those of retries")
        writer.start()
        sealer.start()
        calmSealer.start()
        merger.start()
        switcher.start()
        addStoreMetrics()
    }

    // MARK: - Lifecycle

    private func openStore() async throws {
        node.setReady("waiting for the cluster map")
        guard let snapshot = await membership.view.ready() else { return }
        guard snapshot.map.shards.indices.contains(shard) else {
            throw InvalidDocument([
                FieldFault("--shard", "\(shard) is not in the cluster map, which has \(snapshot.map.shards.count) shards")
            ])
        }
        node.setReady("replaying the log")
        let store = try await writer.runIfActive { [self] in try openStore(snapshot.map) }
        let appender = GroupAppender(store, thread: writer) { [fail] error in fail.yield(error) }
        open.withLock { $0 = Open(store: store, appender: appender, map: snapshot.map) }
        let stats = store.stats
        node.logger.info(
            "store is open",
            metadata: [
                "rows": "\(stats.rows)", "segments": "\(stats.segments)", "replayed": "\(stats.replayedRecords)",
                "torn_bytes_cut": "\(stats.tornBytesCut)",
            ])
        membership.claim()
        await tellReadiness(store)
    }

    /// Until cancelled: sets the readiness, by whether appends are taken. Queries are answered whenever the store is open with the
    /// data that the cluster knows.
    private func tellReadiness(_ store: ShardStore<POSIXFileSystem>) async {
        var isLogged = false
        while !Task.isCancelled {
            let other = otherData(store)
            if let other, !isLogged { node.logger.error("\(other)") }
            isLogged = other != nil
            node.setReady(other ?? spaceProblem())
            try? await Task.sleep(for: .seconds(1))
        }
    }

    private func spaceProblem() -> String? {
        let directory = node.settings.text("data")
        let reserve = UInt64(node.settings.integer("reserve-mb")) << 20
        do throws(FileError) {
            let free = try POSIXFileSystem().freeBytes(directory)
            return free >= reserve ? nil : "\(directory) has \(free) bytes free, below the reserve of \(reserve): appends are refused"
        } catch {
            return "free space is not known: \(error)"
        }
    }

    private func openStore(_ map: ClusterMap) throws -> ShardStore<POSIXFileSystem> {
        var options = StoreOptions()
        options.sealRows = node.settings.integer("seal-rows")
        options.reserveBytes = UInt64(node.settings.integer("reserve-mb")) << 20
        options.onSync = { [syncLatency] in syncLatency.record($0) }
        options.eventNamesMax = node.settings.integer("event-names-max")
        options.propertyKeysMax = node.settings.integer("property-keys-max")
        options.usersPerBucketMax = node.settings.integer("users-per-bucket-max")
        options.newNamesPerHour = node.settings.integer("new-names-per-hour")
        options.onNote = { [logger = node.logger] in $0.log(to: logger) }
        options.urgently = Housekeeping.urgently(on: switcher)
        let identity = StoreIdentity(clusterID: map.clusterID, shard: shard, shardCount: map.shards.count, epoch: map.epoch)
        return try ShardStore.open(
            directory: node.settings.text("data"), files: POSIXFileSystem(), identity: identity, options: options, progress: nil)
    }

    /// Throws after a failed write or sync. Nothing more may be acknowledged then, so the process ends, and the next start recovers
    /// from disk.
    private func watchDisk() async throws {
        for await error in failure { throw error }
    }

    /// Until cancelled: seals what is due, on a thread of low priority; on one of normal priority if memory fills faster than that.
    private func seal() async {
        let usual = node.settings.integer("seal-rows")
        try? await calmSealer.runIfActive { Housekeeping.giveWay() }
        await repeating(on: calmSealer) {
            Housekeeping.seal($0)
        } urgently: { store in
            let stats = store.stats
            return stats.memtableRows > 2 * usual || stats.memtableBytes > 2 * store.options.sealBytes ? self.sealer : nil
        }
    }

    /// Until cancelled: merges what is due, on a thread of low priority.
    private func merge() async {
        let rate = node.settings.integer("merge-mb") << 20
        try? await merger.runIfActive { Housekeeping.giveWay() }
        let idle = IdleTimer()
        await repeating(on: merger) { store in
            let isIdle = idle.isIdle(store.stats.appends)
            let isSealed = isIdle && store.sealIfDue(isIdle: true)
            let isMerged = Housekeeping.merge(store, isIdle: isIdle, bytesPerSecond: rate)
            if isIdle, !isMerged, idle.isFirstTime() { Housekeeping.trim() }
            return isSealed || isMerged
        }
    }

    /// Until cancelled: runs `work` every 50 ms; every 500 ms after 300 runs without work and appends, since each run wakes a core.
    /// - Parameter work: returns whether it found anything to do.
    private func repeating(
        on thread: NIOThreadPool, _ work: @escaping @Sendable (ShardStore<POSIXFileSystem>) -> Bool,
        urgently other: (ShardStore<POSIXFileSystem>) -> NIOThreadPool? = { _ in nil }
    ) async {
        var (appends, quietLooks) = (0, 0)
        while !Task.isCancelled {
            try? await Task.sleep(for: .milliseconds(quietLooks > 300 ? 500 : 50))
            guard let open = open.withLock({ $0 }) else { continue }
            let isBusy = try? await (other(open.store) ?? thread).runIfActive { work(open.store) }
            let stats = open.store.stats
            quietLooks = isBusy == true || stats.appends != appends ? 0 : quietLooks + 1
            appends = stats.appends
            open.appender.note(memtableBytes: stats.memtableBytes)
            if stats.poisoned { fail.yield(StoreError(.poisoned, "a write or sync failed")) }
        }
    }

    private func close() async {
        await workers.shutdown()
        try? await calmSealer.shutdownGracefully()
        try? await sealer.shutdownGracefully()
        // A merge may take long, so it is not awaited; the next start removes its unfinished files.
        merger.shutdownGracefully { _ in }
        try? await switcher.shutdownGracefully()
        try? await writer.shutdownGracefully()
        open.withLock { $0?.store.close() }
    }

    private func current() throws -> Open {
        guard let open = open.withLock({ $0 }) else { throw ProtocolError(.notReady, "the store is not open; nothing was done") }
        if let problem = otherData(open.store) { throw ProtocolError(.notReady, "nothing was done: \(problem)") }
        return open
    }

    /// Why the data must not be used although they are intact: the cluster knows this shard by another data id, so answers would
    /// lack users. Nil if the ids agree.
    private func otherData(_ store: ShardStore<POSIXFileSystem>) -> String? {
        let known = membership.view.snapshot?.dataID(ofShard: shard) ?? 0
        guard known != 0, known != store.dataID else { return nil }
        return """
            the data directory is not the one that the cluster knows as shard \(shard)'s (data id \(idText(store.dataID)), not \
            \(idText(known))), so the disk was lost or another one is mounted: put the right one back, or, where it is lost for \
            good, start the coordinator with --new-shards \(shard)
            """
    }

    // MARK: - Calls

    private var routes: [FrameServer.Route] {
        [
            .init(.shardAppend, .services([.ingest])) { try await self.append($0) },
            .init(.append, .services([.ingest])) { try await self.appendOfOldIngest($0) },
            .init(.partialQuery, .services([.coordinator])) { try await self.query($0) },
            .init(.partialUsers, .services([.coordinator])) { try await self.users($0) },
            .init(.partialDiscovery, .services([.coordinator])) { try await self.discover($0) },
            .init(.partialExport, .services([.coordinator])) { try await self.export($0) },
        ]
    }

    private func append(_ call: FrameCall) async throws {
        let open = try current()
        try checkEpoch(call, open.map)
        let message = try decoding("append") { () throws(ByteError) in try ShardAppend(body: call.frame.body) }
        let own = BucketSet(ClusterMap.buckets(ofShard: shard, of: open.map.shards.count))
        guard message.buckets.isSubset(of: own) else {
            throw ProtocolError(.wrongBucket, "a bucket of the append does not belong to shard \(shard)")
        }
        for i in 0..<message.batch.users.count where !message.buckets.contains(ClusterMap.bucket(of: message.batch.users.hash(i))) {
            throw ProtocolError(.invalidMessage, "a user of the append is not in the buckets that it names")
        }
        let refused = message.refused.map { AppendRequest.RefusedRow(RejectedRow(row: $0.row, code: .timeAhead), bucket: $0.bucket) }
        var request = AppendRequest(
            project: call.frame.context.project, producer: message.producer, sequence: message.sequence, part: message.part,
            isShort: message.isShort, fingerprint: message.fingerprint, buckets: message.buckets, numbers: message.numbers,
            refused: refused, batch: message.batch)
        request.isNameRateFree = message.isNameRateFree
        request.fingerprintOfWhole = {
            CRC32C.checksum(Append(producer: message.producer, sequence: message.sequence, part: message.part, batch: message.batch).body)
        }
        try await store(request, call, open)
    }

    /// An append from an ingest of release 0.1, which does not name buckets.
    private func appendOfOldIngest(_ call: FrameCall) async throws {
        let open = try current()
        try checkEpoch(call, open.map)
        let message = try decoding("append") { () throws(ByteError) in try Append(body: call.frame.body) }
        let own = ClusterMap.buckets(ofShard: shard, of: open.map.shards.count)
        for i in 0..<message.batch.users.count where !own.contains(ClusterMap.bucket(of: message.batch.users.hash(i))) {
            throw ProtocolError(.wrongBucket, "a user of the batch does not belong to shard \(shard)")
        }
        try await store(
            AppendRequest(
                project: call.frame.context.project, producer: message.producer, sequence: message.sequence, part: message.part,
                fingerprint: CRC32C.checksum(call.frame.body), batch: message.batch),
            call, open)
    }

    private func store(_ request: AppendRequest, _ call: FrameCall, _ open: Open) async throws {
        let start = ContinuousClock.now
        let result = try await open.appender.append(request, bytes: call.frame.body.count)
        if !result.repeated { appendedRows.add(result.accepted) }
        appendLatency.record(ContinuousClock.now - start)
        let rejected = result.rejected.map { AppendOutcome.RejectedRow(row: $0.row, reason: $0.code.reason(open.store.options)) }
        let outcome = AppendOutcome(accepted: result.accepted, repeated: result.repeated, rejected: rejected)
        var answer = call.writer()
        try await answer.send(.appendResult, outcome.body)
        try await answer.end(rows: result.accepted)
    }

    private func query(_ call: FrameCall) async throws {
        let start = ContinuousClock.now
        let open = try current()
        try checkEpoch(call, open.map)
        let query = try decoding("partial query") { () throws(ByteError) in try PartialQuery(body: call.frame.body) }
        let (scan, runner, view) = try prepare(query, call, open)
        let body = try await workers.admitting(runner.job.project) {
            try await runner.run(query, scan, newestEvent: scan.newestEvent)
        }
        try matching { try open.store.checkSound(view, project: runner.job.project) }
        queryLatency.record(ContinuousClock.now - start)
        var answer = call.writer()
        try await answer.send(.partialResult, body) { try await runner.alone($0) }
        try await answer.end(rows: 1)
    }

    private func users(_ call: FrameCall) async throws {
        let open = try current()
        try checkEpoch(call, open.map)
        let query = try decoding("partial users query") { () throws(ByteError) in try PartialUsersQuery(body: call.frame.body) }
        let (scan, runner, view) = try prepare(query.query, call, open)
        let (users, left) = try await workers.admitting(runner.job.project) { try await runner.users(query, scan) }
        try matching { try open.store.checkSound(view, project: runner.job.project) }
        let heavy = query.query.leavesOutHeavy ? UInt64(left) : nil
        var answer = call.writer()
        for start in stride(from: 0, to: heavy == nil ? users.count : max(1, users.count), by: UserList.usersPerFrame) {
            let page = users[start..<min(users.count, start + UserList.usersPerFrame)]
            let body = UserList(users: Array(page), heavyUsers: heavy).body
            try await answer.send(.userList, body) { try await runner.alone($0) }
        }
        try await answer.end(rows: users.count)
    }

    private func export(_ call: FrameCall) async throws {
        let open = try current()
        try checkEpoch(call, open.map)
        let query = try decoding("export query") { () throws(ByteError) in try ExportQuery(body: call.frame.body) }
        let project = call.frame.context.project
        var view = try matching { try open.store.view(project: project) }
        view.isCancelled = workers.polling { call.isCancelled }
        let runner = ExportRunner(workers: workers, project: project, shard: shard, data: open.store.dataID)
        let (body, events) = try await runner.run(query, view)
        try matching { try open.store.checkSound(view, project: project) }
        var answer = call.writer()
        try await answer.send(.exportPage, body)
        try await answer.end(rows: events)
    }

    private func discover(_ call: FrameCall) async throws {
        let open = try current()
        try checkEpoch(call, open.map)
        let query = try decoding("discovery query") { () throws(ByteError) in try DiscoveryQuery(body: call.frame.body) }
        let found = try await discovery(query, project: call.frame.context.project, call, open)
        var answer = call.writer()
        try await answer.send(.discoveryResult, found.body)
        try await answer.end(rows: found.count)
    }

    private func discovery(_ query: DiscoveryQuery, project: UInt32, _ call: FrameCall, _ open: Open) async throws -> Discovery {
        // Answered from memory, without the queue of scans.
        if query == .totals { return .totals(open.store.totals(project: project)) }
        if query == .names { return .names(open.store.names(project: project)) }
        var view = try matching { try open.store.view(project: project) }
        view.isCancelled = workers.polling { call.isCancelled }
        let cost = ScanCost(rows: view.rows(of: view.eventNames()))
        let job = QueryJob(project: project, isHeavy: cost.isHeavy)
        return try await DiscoveryRunner(workers: workers, job: job, isCancelled: view.isCancelled).run(query, view)
    }

    private func prepare(_ query: PartialQuery, _ call: FrameCall, _ open: Open) throws -> (ShardQuery, QueryRunner, StoreView) {
        let own = ClusterMap.buckets(ofShard: shard, of: open.map.shards.count)
        guard query.buckets.allSatisfy({ own.lowerBound <= $0.lowerBound && $0.upperBound <= own.upperBound }) else {
            throw ProtocolError(.wrongBucket, "shard \(shard) has buckets \(own.lowerBound) to \(own.upperBound - 1)")
        }
        let project = call.frame.context.project
        var view = try matching { try open.store.view(project: project) }
        view.isCancelled = workers.polling { call.isCancelled }
        let plan = FunnelPlan(query.definition, entryRange: query.entryRange, asOf: query.asOf)
        let heavy = HeavyUsers(areNoted: query.leavesOutHeavy)
        let scan = try matching { try ShardQuery(plan, view, buckets: query.buckets, cohorts: query.cohorts, heavy: heavy) }
        let job = QueryJob(project: project, isHeavy: ScanCost(scan, query.costKind).isHeavy)
        return (scan, QueryRunner(workers: workers, job: job, shard: shard, isCancelled: view.isCancelled), view)
    }

    private func checkEpoch(_ call: FrameCall, _ map: ClusterMap) throws {
        guard call.frame.context.epoch == map.epoch else {
            throw ProtocolError(.wrongEpoch, "this shard uses map epoch \(map.epoch), the call names \(call.frame.context.epoch)")
        }
        guard call.frame.context.project > 0 else { throw ProtocolError(.invalidMessage, "the call names no project") }
    }

    private func addStoreMetrics() {
        StoreMetrics.add(to: node.metrics, reserve: node.settings.integer("reserve-mb") << 20) { [weak self] in
            self?.open.withLock { $0?.store }
        }
        node.metrics.gauge("sluice_shard_append_queue_bytes", "bytes of appends that wait for the disk") { [weak self] in
            Double(self?.open.withLock { $0?.appender.queued.bytes } ?? 0)
        }
        node.metrics.gauge("sluice_shard_append_queue_rows", "rows of appends that wait for the disk") { [weak self] in
            Double(self?.open.withLock { $0?.appender.queued.rows } ?? 0)
        }
        node.metrics.gauge("sluice_shard_queries", "queries running or queued") { [workers] in Double(workers.running) }
    }
}

/// Tracks how long no append has come.
private final class IdleTimer: Sendable {
    private let last = Mutex((appends: 0, since: ContinuousClock.now, isUsed: false))

    /// Whether the number of appends has not changed for 10 s.
    func isIdle(_ appends: Int) -> Bool {
        last.withLock { last in
            if appends != last.appends { last = (appends, .now, false) }
            return ContinuousClock.now - last.since > .seconds(10)
        }
    }

    /// True at the first call since the last append.
    func isFirstTime() -> Bool {
        last.withLock { last in
            defer { last.isUsed = true }
            return !last.isUsed
        }
    }
}
