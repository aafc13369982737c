import EventStorage
import Logging
import ServiceRuntime

/// What a shard's `/metrics` tells of its store.
enum StoreMetrics {
    private enum Kind { case counter, gauge }

    private static let figures: [(kind: Kind, name: String, help: String, read: @Sendable (StoreStats) -> Double)] = [
        (.gauge, "rows", "stored rows; of an event that was stored twice both count until a merge meets them", { Double($0.rows) }),
        (.gauge, "segments", "segment files", { Double($0.segments) }),
        (.gauge, "segment_bytes", "bytes of segment files", { Double($0.segmentBytes) }),
        (.gauge, "mappings", "segment files mapped into memory", { Double($0.mappings) }),
        (.gauge, "log_bytes", "bytes of log files", { Double($0.logBytes) }),
        (.gauge, "memtable_rows", "rows not yet sealed", { Double($0.memtableRows) }),
        (.gauge, "memtable_bytes", "bytes of rows not yet sealed", { Double($0.memtableBytes) }),
        (.counter, "syncs_total", "log records synced", { Double($0.syncs) }),
        (.counter, "appends_total", "appends stored", { Double($0.appends) }),
        (.counter, "repeats_total", "deliveries that were known already and not stored again", { Double($0.repeats) }),
        (
            .counter, "appends_refused_for_space_total", "groups of appends refused because the disk is full or nearly so",
            { Double($0.appendsRefusedForSpace) }
        ),
        (.gauge, "poisoned", "1 after a failed write or sync: the process is about to end", { $0.poisoned ? 1 : 0 }),
        (.gauge, "damaged_files", "files found damaged since the start, which merges go around", { Double($0.damagedFiles) }),
        (.gauge, "torn_bytes", "bytes of an unfinished record that the last opening cut off", { Double($0.tornBytesCut) }),
        (.counter, "seals_total", "seals of the memtable into segments", { Double($0.seals) }),
        (.counter, "failed_seals_total", "seals that failed and will be tried again", { Double($0.failedSeals) }),
        (.counter, "merges_total", "merges of segments", { Double($0.merges) }),
        (.counter, "failed_merges_total", "merges that failed and will be tried again", { Double($0.failedMerges) }),
        (.counter, "sealed_bytes_total", "bytes of segments written by seals", { Double($0.sealedBytes) }),
        (
            .counter, "merged_bytes_total", "bytes of segments written by merges: over sealed bytes, the write amplification less one",
            { Double($0.mergedBytes) }
        ),
        (.gauge, "users", "users that were ever seen", { Double($0.users) }),
        (.gauge, "user_files", "files of users", { Double($0.userFiles) }),
        (.gauge, "user_file_bytes", "bytes of files of users", { Double($0.userFileBytes) }),
        (.gauge, "last_seal_seconds", "how long the last seal took", { $0.lastSeal / .seconds(1) }),
        (
            .gauge, "unsealed_seconds", "age of the oldest row that is in memory and log alone",
            { $0.unsealedSince.map { (ContinuousClock.now - $0) / .seconds(1) } ?? 0 }
        ),
    ]

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
        // Not known while the store is closed; 0 would look like a full disk.
        metrics.gauge("sluice_store_free_bytes", "free bytes on the device of the data directory") {
            store().map { Double($0.freeBytes ?? 0) } ?? .nan
        }
        metrics.gauge("sluice_store_reserve_bytes", "free bytes below which appends are refused") { Double(reserve) }
        addLimits(to: metrics, store: store)
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
