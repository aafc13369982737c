import FunnelModel
import Synchronization

/// The events of one shard, durable in one directory. Appends and suppressions run one at a time; one seal and one merge may
/// run beside them. A view waits for none of these.
package final class ShardStore<Files: FileSystem>: Sendable {
    let files: Files
    let directory: String
    let owner: FileOwner
    package let options: StoreOptions
    var identity: StoreIdentity { owner.identity }
    /// Random id that distinguishes the data from those of any other directory made for the same shard.
    package var dataID: UInt64 { manifestState.withLock { $0.manifest.dataID } }
    let writer: Mutex<Writer>
    let shared: Mutex<Shared>
    /// Locked only while the manifest is replaced or a file gets its number.
    let manifestState: Mutex<ManifestState>
    let access: SegmentAccess
    let users: UserCounter
    /// Whether writing has stopped for good; `Writer.poison` is the reason.
    let isPoisoned = Atomic<Bool>(false)
    /// Locked by the seal that is running, and by the merge.
    let sealing = Mutex(SealBackoff())
    let merging = Mutex(MergeBackoff())

    /// State of the one thread that writes to the log.
    struct Writer: Sendable {
        var lockFile: Files.File?
        var log: Files.File?
        /// Header of the current log.
        var header: LogHeader?
        var logNumber: UInt64 = 1
        var logSize = 0
        /// Bytes of live logs before the current one.
        var olderLogBytes = 0
        var nextRecord: UInt64 = 1
        var deliveries = Deliveries()
        var schemas: [UInt32: ProjectSchema] = [:]
        /// Why writing has stopped for good; nil while it has not.
        var poison: String?
        /// When the first append came after the last seal began.
        var oldestRow: ContinuousClock.Instant?

        /// Switches to a log that is on disk and has this number of bytes.
        mutating func use(_ log: Files.File, _ number: UInt64, _ header: LogHeader, bytes: Int) {
            self.log = log
            self.header = header
            logNumber = number
            logSize = bytes
        }
    }

    /// The list of files, which seals and merges change.
    struct ManifestState: Sendable {
        /// The manifest in force on disk.
        var manifest = Manifest()
        /// Number of the next file; above that of the manifest while files are being written.
        var nextFile: UInt64 = 1
    }

    /// Thresholds below which a failed seal is not tried again.
    struct SealBackoff: Sendable {
        var rows = 0
        var bytes = 0
        var logBytes = 0
        /// Calls left before a retry regardless of thresholds: the cause of the failure may be gone while appends are being refused.
        var calls = 0
    }

    /// When `mergeIfDue` looks for a merge again.
    struct MergeBackoff: Sendable {
        /// After a failed merge: `StoreStats.seals` from which on merges are tried again.
        var seals = 0
        /// The last check that found nothing due: the number of changes by then, and whether it was an idle check.
        var nothingDue: (changes: Int, isIdle: Bool)?
    }

    /// The state that readers see.
    struct Shared: Sendable {
        var projects: [UInt32: Project] = [:]
        var stats = StoreStats()
    }

    /// One project's current data.
    struct Project: Sendable {
        /// In order of durability, within a month.
        var segments: [Segment] = []
        /// Segment files of the manifest that could not be opened: missing, cut short or damaged. While there are any, the
        /// project cannot be read.
        var unreadable: [(record: SegmentRecord, error: StoreError)] = []
        var memtable = Memtable()
        var users: UserDictionary
        /// Ordinals of suppressed users.
        var suppressed: Set<UInt32> = []
        /// All event names, ascending, and the codes that memtables use for them.
        var names: [ByteString] = []
        var nameCodes: [ByteString: UInt32] = [:]
        var newestTime: Int64?
        /// The copy for readers of the names and keys that count against the limits.
        var schema = ProjectSchema()
        /// Rows appended since the store was opened, and those that the opening replayed.
        var taken = 0

        init(_ users: UserDictionary) { self.users = users }

        mutating func note(newest: Int64?) {
            guard let newest else { return }
            newestTime = max(newestTime ?? newest, newest)
        }

        /// Gives codes to names that are new.
        mutating func learn(_ more: some Sequence<ByteString>) {
            let before = nameCodes.count
            for name in more where nameCodes[name] == nil { nameCodes[name] = UInt32(nameCodes.count) }
            if nameCodes.count > before { names = nameCodes.keys.sorted() }
        }

        func view() -> StoreView {
            StoreView(
                segments: segments, memtable: memtable, users: users, suppressed: suppressed, nameCodes: nameCodes, names: names,
                places: PlaceMap(counts: users.counts), newestTime: newestTime)
        }
    }

    init(directory: String, files: Files, owner: FileOwner, options: StoreOptions, opened: Opened) {
        self.directory = directory
        self.files = files
        access = opened.access
        users = opened.users
        self.owner = owner
        self.options = options
        writer = Mutex(opened.writer)
        shared = Mutex(opened.shared)
        manifestState = Mutex(opened.manifestState)
    }

    /// The state as the opening reads it.
    struct Opened: Sendable {
        let access: SegmentAccess
        let users = UserCounter()
        var writer = Writer()
        var shared = Shared()
        var manifestState = ManifestState()
    }

    /// An immutable view of the project's current data.
    /// - Throws: `.corrupt` if one of the project's segment files could not be opened.
    package func view(project: UInt32) throws(StoreError) -> StoreView {
        try shared.withLock { (shared) throws(StoreError) in
            let project = shared.projects[project] ?? Project(UserDictionary(counter: users))
            if let first = project.unreadable.first { throw first.error }
            // The users' counts are taken last, so that no row is without its user.
            return project.view()
        }
    }

    /// A project's share of the rows in memory.
    package struct MemoryPart {
        package let bytes: Int
        package let bytesOfAll: Int
        /// Projects that have rows in memory.
        package let projects: Int

        /// Whether the project is heavy: it has an even share of the bytes, or more (`SEGMENT.md`, When a seal is due).
        package var isMuch: Bool { bytes > 0 && bytes * projects >= bytesOfAll }
    }

    package func memory(of project: UInt32) -> MemoryPart {
        shared.withLock { shared in
            MemoryPart(
                bytes: shared.projects[project]?.memtable.bytes ?? 0, bytesOfAll: shared.stats.memtableBytes,
                projects: shared.projects.values.count { $0.memtable.rows > 0 })
        }
    }

    /// The project's current totals.
    package func totals(project: UInt32) -> ProjectTotals {
        shared.withLock { shared in
            guard let project = shared.projects[project] else { return ProjectTotals() }
            var totals = ProjectTotals()
            totals.rows = UInt64(project.memtable.rows + project.segments.reduce(0) { $0 + $1.record.rows })
            totals.unsealedRows = UInt64(project.memtable.rows)
            totals.segments = UInt64(project.segments.count)
            totals.users = UInt64(project.users.fileRecords.reduce(0) { $0 + $1.users } + project.users.usersInMemory)
            totals.taken = UInt64(project.taken)
            totals.newestTime = project.newestTime
            return totals
        }
    }

    /// Current statistics.
    package var stats: StoreStats {
        var stats = shared.withLock { $0.stats }
        stats.users = users.value
        stats.damagedFiles = access.damage.count
        stats.mappings = access.maps.count
        return stats
    }

    /// Damaged files, ascending by file number.
    package var damagedFiles: [DamagedFile] { access.damage.files.sorted { $0.key < $1.key }.map(\.value) }

    /// Free bytes of the device; nil if they cannot be read.
    package var freeBytes: UInt64? { try? files.freeBytes(directory) }

    /// Releases the directory; later calls that write fail. Waits for a seal or merge that is running: it would write into a
    /// directory that another process may hold by then. Nothing needs saving, but a note of the log's durable bytes is
    /// written if possible. By it the next opening can distinguish a torn record from bytes that the disk lost.
    package func close() {
        sealing.withLock { _ in
            merging.withLock { _ in
                noteStop()
                writer.withLock { writer in
                    writer.poison = writer.poison ?? "the store is closed"
                    isPoisoned.store(true, ordering: .releasing)
                    writer.log = nil
                    writer.lockFile = nil
                }
            }
        }
    }

    private func noteStop() {
        let stop = writer.withLock { Manifest.StopNote(log: $0.logNumber, bytes: $0.logSize) }
        // A log without records needs no note.
        if stop.bytes <= StorageFormat.logHeaderBytes || manifestState.withLock({ $0.manifest.stop }) == stop { return }
        // Without the note the next opening reads the log as after a crash.
        try? replaceManifest { $0.stop = stop }
    }

    /// Suppresses users in every later view; durable on return.
    package func suppress(project: UInt32, users: [ByteString]) throws(StoreError) {
        try writer.withLock { (writer) throws(StoreError) in
            try checkUsable(writer)
            for user in users where user.count > Limits.userIDBytes {
                throw StoreError(.invalid, "user of \(user.count) bytes, at most \(Limits.userIDBytes)")
            }
            let dictionary = self.dictionary(project)
            let suppressed = shared.withLock { $0.projects[project]?.suppressed ?? [] }
            var more = StringTable()
            for user in Set(users).sorted() where dictionary.find(user).map({ !suppressed.contains($0) }) ?? true { more.append(user) }
            if more.count == 0 { return }
            let ordinals = dictionary.assign(more, usersPerBucketMax: Limits.usersPerBucket).compactMap { $0 }
            try checkSound(dictionary, project)
            guard ordinals.count == more.count else { throw StoreError(.invalid, "a bucket holds \(Limits.usersPerBucket) users") }
            let body = LogBody.suppress(project: project, users: more, ordinals: ordinals)
            try write(body, &writer)
            hide(project, ordinals)
        }
    }

    /// Throws `.poisoned` if writing has stopped.
    func checkUsable(_ writer: borrowing Writer) throws(StoreError) {
        if let reason = writer.poison { throw StoreError(.poisoned, "the store takes no more writes: \(reason)") }
    }

    /// The same for a thread that does not hold the writer's lock.
    func checkUsable() throws(StoreError) {
        if isPoisoned.load(ordering: .acquiring) { try writer.withLock { (writer) throws(StoreError) in try checkUsable(writer) } }
    }

    /// Runs work that other threads wait for on a thread of normal priority (`StoreOptions.urgently`).
    func urgently<T>(_ body: @escaping () throws(StoreError) -> T) throws(StoreError) -> T {
        var result: Result<T, StoreError>?
        options.urgently {
            do throws(StoreError) { result = .success(try body()) } catch { result = .failure(error) }
        }
        guard let result else { throw StoreError(.cancelled, "the work was not done") }
        return try result.get()
    }

    /// Call after users were looked up: throws if a user file could not be read, since such a user is not a new one.
    func checkSound(_ users: UserDictionary, _ project: UInt32) throws(StoreError) {
        guard let record = users.damaged else { return }
        let name = FileName.users(record.number)
        let error = StoreError.corrupt(name, offset: 0, expected: "\(record.bytes) bytes that can be read", found: "fewer")
        access.damage.report(record.number, DamagedFile(name: name, project: project, month: nil, reason: error.message))
        throw error
    }

    /// Call after a query has used a view's users.
    package func checkSound(_ view: StoreView, project: UInt32) throws(StoreError) { try checkSound(view.users, project) }

    /// Stops all writing for good: only the next opening finds out what a failed write or sync left on disk.
    /// - Returns: the error to throw; never `.noSpace`, after which a call may be repeated.
    func poison(_ error: FileError, _ writer: inout Writer) -> StoreError {
        let stored = StoreError(error)
        poison(stored.message, &writer)
        return stored.code == .noSpace ? StoreError(.poisoned, stored.message) : stored
    }

    func poison(_ message: String, _ writer: inout Writer) {
        writer.poison = writer.poison ?? message
        isPoisoned.store(true, ordering: .releasing)
        shared.withLock { $0.stats.poisoned = true }
    }

    /// Writes one record and syncs it. After `.noSpace` and `.tooLarge` nothing was stored; any other error poisons the store.
    func write(_ body: LogBody, _ writer: inout Writer) throws(StoreError) {
        let bytes = body.encode()
        guard bytes.count <= StorageFormat.recordBytesMax else {
            throw StoreError(.tooLarge, "log record of \(bytes.count) bytes, at most \(StorageFormat.recordBytesMax)")
        }
        guard let log = writer.log, let seed = writer.header?.seed else { throw StoreError(.poisoned, "the log is not open") }
        let header = RecordHeader(kind: body.kind, sequence: writer.nextRecord, body: bytes)
        let record = header.encode(offset: writer.logSize, seed: seed) + bytes
        do throws(FileError) {
            try log.append(record)
        } catch {
            guard error.isNoSpace else { throw poison(error, &writer) }
            do throws(FileError) {
                try log.truncate(to: writer.logSize)
                // Without this a crash could bring the fragment back, in a log that is no longer the last.
                try log.sync()
            } catch { throw poison(error, &writer) }
            throw StoreError(error)
        }
        let start = ContinuousClock.now
        do throws(FileError) { try log.sync() } catch { throw poison(error, &writer) }
        options.onSync(ContinuousClock.now - start)
        writer.logSize += record.count
        writer.nextRecord += 1
        let bytesOfLogs = writer.olderLogBytes + writer.logSize
        shared.withLock {
            $0.stats.syncs += 1
            $0.stats.logBytes = bytesOfLogs
        }
    }

    /// Suppresses users in memory, for later views.
    func hide(_ project: UInt32, _ ordinals: [UInt32]) {
        _ = dictionary(project)
        shared.withLock { _ = $0.projects[project]?.suppressed.formUnion(ordinals) }
    }

    /// Adds durable appends to memory, when they are stored and at replay.
    func apply(_ appends: [LoggedAppend], _ writer: inout Writer) {
        if writer.oldestRow == nil {
            let now = ContinuousClock.now
            writer.oldestRow = now
            shared.withLock { $0.stats.unsealedSince = $0.stats.unsealedSince ?? now }
        }
        for append in appends {
            let time = append.time == 0 ? options.now() : append.time
            writer.deliveries.record(append.project, append.name, append.content, isShort: append.isShort, now: time)
            if append.batch.count == 0 { continue }
            writer.schemas[append.project, default: ProjectSchema()].learn(append.batch)
            publish(append)
        }
    }

    private func publish(_ append: LoggedAppend) {
        let batch = append.batch
        let used = (0..<batch.names.count).map { batch.names[$0] }
        _ = dictionary(append.project)
        // Memtables change only under the writer's lock, so one may be copied, changed and put back.
        var (memtable, codes) = shared.withLock { shared in
            shared.projects[append.project]?.learn(used)
            let project = shared.projects[append.project]
            return (project?.memtable ?? Memtable(), used.map { project?.nameCodes[$0] ?? 0 })
        }
        let bytes = memtable.bytes
        memtable.add(StoredBatch(batch, ordinals: append.ordinals, names: codes))
        let newest = batch.time.max()
        shared.withLock { shared in
            shared.projects[append.project]?.memtable = memtable
            shared.projects[append.project]?.note(newest: newest)
            shared.projects[append.project]?.taken += batch.count
            shared.stats.memtableRows += batch.count
            shared.stats.memtableBytes += memtable.bytes - bytes
        }
    }
}
