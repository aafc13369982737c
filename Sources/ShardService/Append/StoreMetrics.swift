import FunnelRuntime
import FunnelStorage
import Logging

/// What a shard's `/metrics` tells of its store.
enum StoreMetrics {
    /// - Parameter store: nil while it is not open.
    static func add(to metrics: Metrics, store: @escaping @Sendable () -> ShardStore<POSIXFileSystem>?) {
        func gauge(_ name: String, _ help: String, _ read: @escaping @Sendable (StoreStats) -> Int) {
            metrics.gauge(name, help) { Double(store().map { read($0.stats) } ?? 0) }
        }
        func counter(_ name: String, _ help: String, _ read: @escaping @Sendable (StoreStats) -> Int) {
            metrics.counter(name, help) { Double(store().map { read($0.stats) } ?? 0) }
        }
        addLimits(to: metrics, store: store)
        gauge("sluice_store_rows", "stored rows, repeated deliveries included") { $0.rows }
        gauge("sluice_store_segments", "segment files") { $0.segments }
        gauge("sluice_store_segment_bytes", "bytes of segment files") { $0.segmentBytes }
        gauge("sluice_store_mappings", "segment files mapped into memory") { $0.mappings }
        gauge("sluice_store_log_bytes", "bytes of log files") { $0.logBytes }
        gauge("sluice_store_memtable_rows", "rows not yet sealed") { $0.memtableRows }
        gauge("sluice_store_memtable_bytes", "bytes of rows not yet sealed") { $0.memtableBytes }
        counter("sluice_store_syncs_total", "log records synced") { $0.syncs }
        counter("sluice_store_appends_total", "appends stored") { $0.appends }
        counter("sluice_store_repeats_total", "appends that were repeats") { $0.repeats }
        counter("sluice_store_appends_refused_for_space_total", "groups of appends refused because the disk is full or nearly so") {
            $0.appendsRefusedForSpace
        }
        gauge("sluice_store_poisoned", "1 after a failed write or sync: the process is about to end") { $0.poisoned ? 1 : 0 }
        gauge("sluice_store_damaged_files", "files found damaged since the start, which merges go around") { $0.damagedFiles }
        gauge("sluice_store_torn_bytes", "bytes of an unfinished record that the last opening cut off") { $0.tornBytesCut }
        counter("sluice_store_seals_total", "seals of the memtable into segments") { $0.seals }
        counter("sluice_store_failed_seals_total", "seals that failed and will be tried again") { $0.failedSeals }
        counter("sluice_store_merges_total", "merges of segments") { $0.merges }
        counter("sluice_store_failed_merges_total", "merges that failed and will be tried again") { $0.failedMerges }
        counter("sluice_store_sealed_bytes_total", "bytes of segments written by seals") { $0.sealedBytes }
        counter(
            "sluice_store_merged_bytes_total", "bytes of segments written by merges: over sealed bytes, the write amplification less one"
        ) { $0.mergedBytes }
        gauge("sluice_store_users", "users that were ever seen") { $0.users }
        gauge("sluice_store_user_files", "files of users") { $0.userFiles }
        gauge("sluice_store_user_file_bytes", "bytes of files of users") { $0.userFileBytes }
        metrics.gauge("sluice_store_last_seal_seconds", "how long the last seal took") {
            store().map { $0.stats.lastSeal / .seconds(1) } ?? 0
        }
        metrics.gauge("sluice_store_unsealed_seconds", "age of the oldest row that is in memory and log alone") {
            store()?.stats.unsealedSince.map { (ContinuousClock.now - $0) / .seconds(1) } ?? 0
        }
        metrics.gauge("sluice_store_free_bytes", "free bytes on the device of the data directory") { Double(store()?.freeBytes ?? 0) }
    }
}

extension StoreNote {
    /// One line for an operator.
    func log(to logger: Logger) {
        switch self {
        case .damaged(let file):
            var metadata: Logger.Metadata = ["file": "\(file.name)", "project": "\(file.project)", "found": "\(file.reason)"]
            if let month = file.month { metadata["month"] = "\(month / 12)-\(month % 12 < 9 ? "0" : "")\(month % 12 + 1)" }
            logger.error("a file is damaged; merges go around it, queries that read it fail", metadata: metadata)
        case .nearLimit(let project, let limit, let count, let most):
            logger.warning(
                "a project has nearly as many \(limit.rawValue) as it may have on a shard; more are refused",
                metadata: ["project": "\(project)", "count": "\(count)", "limit": "\(most)"])
        case .failed(let work, let reason):
            logger.error("\(work.rawValue) failed; it will be tried again", metadata: ["reason": "\(reason)"])
        }
    }
}
