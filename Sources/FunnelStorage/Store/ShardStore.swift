import FunnelModel
import Synchronization

/// The events of one shard, durable in one directory. Appends, seals and suppressions take turns; snapshots never wait
/// for them.
package final class ShardStore<Files: FileSystem>: Sendable {
    let files: Files
    let directory: String
    let identity: StoreIdentity
    let options: StoreOptions
    let writer: Mutex<Writer>
    let shared: Mutex<Shared>

    /// What only the thread that writes touches.
    struct Writer: Sendable {
        var lockFile: Files.File?
        var log: Files.File?
        var logNumber: UInt64 = 1
        var logSize = 0
        /// Bytes in logs before the present one that are still needed.
        var olderLogBytes = 0
        var manifest = Manifest()
        var nextRecord: UInt64 = 1
        var nextRow: UInt64 = 0
        var nextSegment: UInt64 = 1
        var producers = ProducerTable()
        var catalogues: [UInt32: Catalogue] = [:]
        /// Why nothing may be written any more.
        var poison: String?
        /// Rows and bytes in memory below which no seal is tried again after one that failed.
        var sealAfterRows = 0
        var sealAfterBytes = 0
        var sealAfterLog = 0

        func logHeader(_ identity: StoreIdentity) -> LogHeader {
            LogHeader(number: logNumber, firstRecord: firstRecordOfLog, identity)
        }
        var firstRecordOfLog: UInt64 = 1
    }

    /// What readers see; changed only by the writer.
    struct Shared: Sendable {
        var projects: [UInt32: Project] = [:]
        var stats = StoreStats()
    }

    /// One project's data as it stands.
    struct Project: Sendable {
        var runs: [SortedRows] = []
        var segments: [Segment] = []
        var suppressed: Set<ByteString> = []
        /// All event names, ascending.
        var names: [ByteString] = []
        var newestTime: Int64?

        mutating func note(newest: Int64?) {
            guard let newest else { return }
            newestTime = max(newestTime ?? newest, newest)
        }
    }

    init(directory: String, files: Files, identity: StoreIdentity, options: StoreOptions, opened: Opened) {
        self.directory = directory
        self.files = files
        self.identity = identity
        self.options = options
        writer = Mutex(opened.writer)
        shared = Mutex(opened.shared)
    }

    /// The state that opening has read.
    struct Opened: Sendable {
        var writer = Writer()
        var shared = Shared()
    }

    /// Everything that is in the project now, unchanged by what comes later.
    package func snapshot(project: UInt32) -> Snapshot<Files> {
        let state = shared.withLock { $0.projects[project] } ?? Project()
        let scanner = Scanner(
            runs: state.runs, segments: state.segments, suppressed: state.suppressed, names: state.names)
        return Snapshot(scanner: scanner, newestTime: state.newestTime)
    }

    /// Figures as of now.
    package var stats: StoreStats { shared.withLock { $0.stats } }

    /// Lets the directory go. Nothing needs saving; later calls that write fail.
    package func close() {
        writer.withLock { writer in
            writer.poison = writer.poison ?? "the store is closed"
            writer.log = nil
            writer.lockFile = nil
        }
    }

    /// Hides users from every later snapshot; durable on return.
    package func suppress(project: UInt32, users: [ByteString]) throws(StoreError) {
        try writer.withLock { (writer) throws(StoreError) in
            try checkUsable(writer)
            let hidden = shared.withLock { $0.projects[project]?.suppressed ?? [] }
            var more: [ByteString] = []
            var seen = hidden
            for user in users where seen.insert(user).inserted {
                guard user.count <= Limits.userIDBytes else {
                    throw StoreError(.invalid, "user of \(user.count) bytes, at most \(Limits.userIDBytes)")
                }
                more.append(user)
            }
            if more.isEmpty { return }
            let body = LogBody.suppress(project: project, users: more)
            try write(body, &writer)
            apply(body, &writer)
        }
    }

    func checkUsable(_ writer: borrowing Writer) throws(StoreError) {
        if let reason = writer.poison { throw StoreError(.poisoned, "the store takes no more writes: \(reason)") }
    }

    /// Stops all writing for good. What a failed write or sync has left on disk is found out at the next opening.
    func poison(_ error: FileError, _ writer: inout Writer) -> StoreError {
        let stored = StoreError(error)
        writer.poison = stored.message
        shared.withLock { $0.stats.poisoned = true }
        return stored.code == .noSpace ? StoreError(.poisoned, stored.message) : stored
    }

    /// Writes one record and syncs it. After an error that is not `.noSpace` the store is poisoned.
    func write(_ body: LogBody, _ writer: inout Writer) throws(StoreError) {
        let bytes = body.encode()
        guard bytes.count <= StorageFormat.recordBytesMax else {
            throw StoreError(.tooLarge, "log record of \(bytes.count) bytes, at most \(StorageFormat.recordBytesMax)")
        }
        guard let log = writer.log else { throw StoreError(.poisoned, "the log is not open") }
        let header = RecordHeader(kind: body.kind, sequence: writer.nextRecord, body: bytes)
        let seed = writer.logHeader(identity).seed
        let record = header.encode(offset: writer.logSize, seed: seed) + bytes
        do throws(FileError) {
            try log.append(record)
        } catch {
            guard error.isNoSpace else { throw poison(error, &writer) }
            do throws(FileError) {
                try log.truncate(to: writer.logSize)
                // Or a crash could bring the fragment back into a log that is no longer the last.
                try log.sync()
            } catch { throw poison(error, &writer) }
            throw StoreError(error)
        }
        do throws(FileError) { try log.sync() } catch { throw poison(error, &writer) }
        writer.logSize += record.count
        writer.nextRecord += 1
        let bytesOfLogs = writer.olderLogBytes + writer.logSize
        shared.withLock {
            $0.stats.syncs += 1
            $0.stats.logBytes = bytesOfLogs
        }
    }

    /// Takes a durable record into memory; the same at replay as at first.
    func apply(_ body: LogBody, _ writer: inout Writer) {
        switch body {
        case .suppress(let project, let users):
            shared.withLock { $0.projects[project, default: Project()].suppressed.formUnion(users) }
        case .appends(_, let appends):
            var runs: [UInt32: [SortedRows]] = [:]
            var newest: [UInt32: Int64] = [:]
            for append in appends {
                let part = ProducerTable.Part(
                    part: append.part, fingerprint: append.fingerprint, accepted: append.batch.count,
                    rejected: append.rejected)
                writer.producers.record(producer: append.producer, sequence: append.sequence, part)
                if append.batch.count == 0 { continue }
                runs[append.project, default: []].append(.sorting(append.batch, firstSequence: writer.nextRow))
                writer.nextRow += UInt64(append.batch.count)
                if let time = append.batch.time.max() {
                    newest[append.project] = max(newest[append.project] ?? time, time)
                }
                writer.catalogues[append.project, default: Catalogue()].learn(append.batch)
            }
            for (project, runs) in runs {
                publish(runs, project: project, newest: newest[project], writer.catalogues[project] ?? Catalogue())
            }
        }
    }

    private func publish(_ new: [SortedRows], project: UInt32, newest: Int64?, _ catalogue: Catalogue) {
        let added = Self.merged(new)
        let before = shared.withLock { $0.projects[project] } ?? Project()
        let runs = Self.compacted(before.runs + [added])
        let names = before.names.count == catalogue.names.count ? before.names : catalogue.names.sorted()
        let bytes = runs.reduce(0) { $0 + $1.bytes } - before.runs.reduce(0) { $0 + $1.bytes }
        shared.withLock { shared in
            shared.projects[project, default: Project()].runs = runs
            shared.projects[project]?.names = names
            shared.projects[project]?.note(newest: newest)
            shared.stats.rows += added.count
            shared.stats.memtableRows += added.count
            shared.stats.memtableBytes += bytes
        }
    }

    /// Merges the newest runs as soon as they weigh half of the run before: so a row is merged O(log n) times.
    private static func compacted(_ runs: [SortedRows]) -> [SortedRows] {
        guard runs.count > 8 else { return runs }
        var first = runs.count - 1
        var weight = runs[first].count
        while first > 0, runs[first - 1].count <= 2 * weight {
            first -= 1
            weight += runs[first].count
        }
        if first == runs.count - 1 { return runs }
        return runs[..<first] + [merged(Array(runs[first...]))]
    }

    private static func merged(_ runs: [SortedRows]) -> SortedRows {
        if runs.count == 1 { return runs[0] }
        var result = runs[0]
        // Runs in memory can't fail to be read.
        try? mergeRows(runs) { rows throws(StoreError) in result = rows }
        return result
    }
}
