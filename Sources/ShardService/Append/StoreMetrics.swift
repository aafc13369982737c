import EventStorage
import Logging
import ServiceRuntime

/// The metrics of a shard's store.
enum StoreMetrics {
    private enum Kind { case counter, gauge }

    private static let figures: [(kind: Kind, name: String, help: String, read: @Sendable (StoreStats) -> Double)] = [
        (.gauge, "rows", "stored rows; a duplicate counts until a seal or merge drops it", { Double($0.rows) }),
        (.gauge, "segments", "segment files", { Double($0.segments) }),
        (.gauge, "segment_bytes", "bytes of segment files", { Double($0.segmentBytes) }),
        (.gauge, "mappings", "segment files mapped into memory", { Double($0.mappings) }),
        (.gauge, "log_bytes", "bytes of log files", { Double($0.logBytes) }),
        (.gauge, "memtable_rows", "rows in memory that are not sealed yet", { Double($0.memtableRows) }),
        (.gauge, "memtable_bytes", "bytes of rows in memory that are not sealed yet", { Double($0.memtableBytes) }),
        (.counter, "syncs_total", "log records written and synced; each has a group of appends", { Double($0.syncs) }),
        (.counter, "appends_total", "appends stored, without retries of stored ones", { Double($0.appends) }),
        (.counter, "repeats_total", "retries of stored appends, not stored again", { Double($0.repeats) }),
        (
            .counter, "appends_refused_for_space_total", "groups of appends refused: the disk is full, or less than reserve-mb is free",
            { Double($0.appendsRefusedForSpace) }
        ),
        (.gauge, "poisoned", "1 after a failed write or sync; the process then ends", { $0.poisoned ? 1 : 0 }),
        (.gauge, "damaged_files", "damaged files found since the start; queries that read them fail", { Double($0.damagedFiles) }),
        (.gauge, "torn_bytes", "bytes of an unfinished record that the start cut off; normal after a kill", { Double($0.tornBytesCut) }),
        (.counter, "seals_total", "seals: rows in memory written to segment files", { Double($0.seals) }),
        (.counter, "failed_seals_total", "failed seals; each is retried", { Double($0.failedSeals) }),
        (.counter, "merges_total", "merges of segment files", { Double($0.merges) }),
        (.counter, "failed_merges_total", "failed merges; each is retried", { Double($0.failedMerges) }),
        (.counter, "sealed_bytes_total", "bytes of segment files written by seals", { Double($0.sealedBytes) }),
        (
            .counter, "merged_bytes_total", "bytes of segment files written by merges; write amplification = 1 + this / sealed_bytes",
            { Double($0.mergedBytes) }
        ),
        (.gauge, "users", "users that were ever stored, each once per project", { Double($0.users) }),
        (.gauge, "user_files", "files with the ids of users", { Double($0.userFiles) }),
        (.gauge, "user_file_bytes", "bytes of the files with the ids of users", { Double($0.userFileBytes) }),
        (.gauge, "last_seal_seconds", "duration of the last seal, in seconds", { $0.lastSeal / .seconds(1) }),
        (
            .gauge, "unsealed_seconds", "age of the oldest row that is in memory and log only, in seconds",
            { $0.unsealedSince.map { (ContinuousClock.now - $0) / .seconds(1) } ?? 0 }
        ),
    ]

    /// Adds the metrics. All but the free bytes are 0 while the store is closed.
    /// - Parameters:
    ///   - reserve: free bytes below which appends are refused.
    ///   - store: nil while it is not open.
    static func add(to metrics: Metrics, reserve: Int, store: @escaping @Sendable () -> ShardStore<POSIXFileSystem>?) {
        for figure in figures {
            let read: @Sendable () -> Double = { store().map { figure.read($0.stats) } ?? 0 }
            switch figure.kind {
            case .counter: metrics.counter("sluice_store_" + figure.name, figure.help, read: read)
            case .gauge: metrics.gauge("sluice_store_" + figure.name, figure.help, read: read)
            }
        }
        // NaN while the store is closed, since 0 would look like a full disk.
        metrics.gauge("sluice_store_free_bytes", "free bytes on the device of the data directory") {
            store().map { Double($0.freeBytes ?? 0) } ?? .nan
        }
        metrics.gauge("sluice_store_reserve_bytes", "free bytes below which appends are refused (reserve-mb)") { Double(reserve) }
        addLimits(to: metrics, store: store)
    }
}

extension StoreNote {
    /// Logs the note in one line.
    func log(to logger: Logger) {
        switch self {
        case .damaged(let file):
            var metadata: Logger.Metadata = ["file": "\(file.name)", "project": "\(file.project)", "found": "\(file.reason)"]
            if let month = file.month { metadata["month"] = "\(month / 12)-\(month % 12 < 9 ? "0" : "")\(month % 12 + 1)" }
            logger.error("a file is damaged; merges go around it, queries that read it fail", metadata: metadata)
        case .nearLimit(let project, let limit, let count, let most):
            logger.warning(
                "a project is near its limit of \(limit.rawValue) on this shard; above it new ones are refused",
                metadata: ["project": "\(project)", "count": "\(count)", "limit": "\(most)"])
        case .failed(let work, let reason):
            logger.error("\(work.rawValue) failed; it will be retried", metadata: ["reason": "\(reason)"])
        }
    }
}
