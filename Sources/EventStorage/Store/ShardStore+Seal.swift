import FunnelModel
import Synchronization

extension ShardStore {
    /// Turns what is in memory into segments and drops the logs that held it. Appends go on meanwhile.
    /// - Parameter pace: told of bytes before they are written, and may wait.
    package func seal(pace: @escaping (Int) -> Void = { _ in }) throws(StoreError) {
        try sealing.withLock { (_) throws(StoreError) in try sealNow(pace) }
    }

    /// Seals if memory or the logs hold enough. What is durable stays so either way: an error is counted, and where it
    /// leaves the store unusable the next call that writes says so.
    /// - Parameter isIdle: no append came for a while, so that a small segment is worth its while: queries read it sooner
    ///   than as many rows in memory.
    /// - Returns: whether a seal was done.
    package func sealIfDue(isIdle: Bool = false, pace: @escaping (Int) -> Void = { _ in }) -> Bool {
        sealing.withLock { rest in
            let now = stats
            rest.calls -= 1
            if rest.calls == 0 { rest = SealBackoff() }
            // The log by itself too: appends of which no row is accepted leave nothing in memory.
            let rows = isIdle ? max(1, options.sealRows / 25) : options.sealRows
            guard
                now.memtableRows >= max(rows, rest.rows) || now.memtableBytes >= max(options.sealBytes, rest.bytes)
                    || now.logBytes >= max(4 * options.sealBytes, rest.logBytes)
            else { return false }
            do throws(StoreError) {
                try sealNow(pace)
                rest = SealBackoff()
                return true
            } catch {
                access.damage.failed(.seal, error)
                rest.rows = now.memtableRows + max(1, options.sealRows / 4)
                rest.bytes = now.memtableBytes + max(1, options.sealBytes / 4)
                rest.logBytes = now.logBytes + max(1, options.sealBytes)
                rest.calls = Self.callsBetweenFailures
                return false
            }
        }
    }

    /// Half a minute of a housekeeper that looks every 50 ms.
    private static var callsBetweenFailures: Int { 600 }

    /// What was in memory when a seal began.
    private struct Frozen {
        var projects: [UInt32: (project: Project, users: [UserPart])] = [:]
        var firstLog: UInt64 = 0
        var nextRecord: UInt64 = 0
        var deliveries = Deliveries()
    }

    private func sealNow(_ pace: @escaping (Int) -> Void) throws(StoreError) {
        let start = ContinuousClock.now
        let before = manifestState.withLock { $0.manifest }
        let frozen = try urgently { [self] () throws(StoreError) in
            try writer.withLock { (writer) throws(StoreError) in try freeze(&writer, before) }
        }
        guard let frozen else { return }
        do throws(StoreError) {
            let sealed = try write(frozen, pace)
            try urgently { [self] in publish(sealed, frozen, took: ContinuousClock.now - start) }
            // What can't be removed now goes at the next opening.
            for number in before.firstLog..<frozen.firstLog { try? files.remove("\(directory)/\(FileName.log(number))") }
        } catch {
            shared.withLock { $0.stats.failedSeals += 1 }
            throw error
        }
    }

    /// Starts a new log; what is in memory by then is this seal's. nil where nothing happened since the last one.
    private func freeze(_ writer: inout Writer, _ manifest: Manifest) throws(StoreError) -> Frozen? {
        try checkUsable(writer)
        if manifest.nextRecord == writer.nextRecord { return nil }
        do throws(StoreError) { try startLog(&writer) } catch {
            shared.withLock { $0.stats.failedSeals += 1 }
            throw error
        }
        var frozen = Frozen()
        frozen.firstLog = writer.logNumber
        frozen.nextRecord = writer.nextRecord
        writer.deliveries.forget(now: options.now())
        frozen.deliveries = writer.deliveries
        writer.oldestRow = nil
        shared.withLock { shared in
            for number in shared.projects.keys {
                guard let memtable = shared.projects[number]?.memtable.freeze(), var project = shared.projects[number] else { continue }
                project.memtable = memtable
                frozen.projects[number] = (project, project.users.freeze())
            }
        }
        return frozen
    }

    private struct Sealed {
        var segments: [UInt32: [Segment]] = [:]
        var users: [UInt32: UserFile] = [:]
    }

    /// Writes the files and puts a manifest in force that tells of them.
    private func write(_ frozen: Frozen, _ pace: @escaping (Int) -> Void) throws(StoreError) -> Sealed {
        try writing { (numbers) throws(StoreError) in
            var sealed = Sealed()
            for (number, (project, users)) in frozen.projects.sorted(by: { $0.key < $1.key }) {
                if !users.isEmpty {
                    let (ids, buckets) = try UserFileMerge.ids(of: users)
                    sealed.users[number] = try writeUsers(ids, buckets, seed: project.users.seed, number, &numbers, pace)
                }
                guard project.memtable.rows > 0 else { continue }
                for (month, view) in project.sealing() {
                    guard let segment = try writeSegment(of: view, month: month, project: number, &numbers, pace) else { continue }
                    sealed.segments[number, default: []].append(segment)
                }
            }
            try replaceManifest { manifest in
                for (number, (project, _)) in frozen.projects.sorted(by: { $0.key < $1.key }) {
                    manifest.segments += sealed.segments[number]?.map(\.record) ?? []
                    manifest.userFiles += sealed.users[number].map { [$0.record] } ?? []
                    manifest.suppressed[number] = project.suppressed.isEmpty ? nil : Set(project.users.ids(project.suppressed))
                }
                manifest.firstLog = frozen.firstLog
                manifest.nextRecord = frozen.nextRecord
                manifest.deliveries = frozen.deliveries
                manifest.stop = Manifest.StopNote()
            }
            return sealed
        }
    }

    private func publish(_ sealed: Sealed, _ frozen: Frozen, took: Duration) {
        writer.withLock { writer in
            writer.olderLogBytes = 0
            let (logBytes, oldestRow) = (writer.logSize, writer.oldestRow)
            shared.withLock { shared in
                for (number, (project, users)) in frozen.projects {
                    // What is dropped is freed with `frozen`, when no lock is held.
                    shared.projects[number]?.memtable.drop(project.memtable)
                    shared.stats.memtableRows -= project.memtable.rows
                    shared.stats.memtableBytes -= project.memtable.bytes
                    let segments = sealed.segments[number] ?? []
                    shared.projects[number]?.segments += segments
                    shared.stats.count(segments, by: 1)
                    shared.stats.sealedBytes += segments.reduce(0) { $0 + $1.record.bytes }
                    guard let file = sealed.users[number] else { continue }
                    project.users.replace(parts: users.count, with: file)
                    shared.stats.count([file], by: 1)
                }
                shared.stats.seals += 1
                shared.stats.logFiles = 1
                shared.stats.logBytes = logBytes
                shared.stats.unsealedSince = oldestRow
                shared.stats.lastSeal = took
            }
        }
    }

    /// Goes over to a new, empty log. On an error the present log stays, or, where a trace of the new one may remain,
    /// the store is poisoned: two last logs would make a torn record look like damage.
    private func startLog(_ writer: inout Writer) throws(StoreError) {
        // A log without records serves again, as after a seal that failed.
        let empty = writer.logSize == StorageFormat.logHeaderBytes
        if empty && writer.header?.firstRecord == writer.nextRecord { return }
        let number = writer.logNumber + 1
        let path = "\(directory)/\(FileName.log(number))"
        let header = LogHeader(number: number, firstRecord: writer.nextRecord, identity)
        do throws(FileError) {
            let file = try files.writeDurably(header.bytes, to: path)
            try files.syncDirectory(directory)
            writer.olderLogBytes += writer.logSize
            writer.use(file, number, header, bytes: header.bytes.count)
            shared.withLock { $0.stats.logFiles += 1 }
        } catch {
            guard error.isNoSpace else { throw poison(error, &writer) }
            // Where not even the file could be opened there is no trace of it.
            if error.operation == "open", error.path == path { throw StoreError(error) }
            do throws(FileError) {
                if try files.list(directory).contains(FileName.log(number)) { try files.remove(path) }
                try files.syncDirectory(directory)
            } catch { throw poison(error, &writer) }
            throw StoreError(error)
        }
    }
}

// MARK: - Files of a seal or a merge

extension ShardStore {
    /// Runs what writes files that no manifest tells of yet; after an error they are removed, since their space may be
    /// what is short. The numbers given to files are noted in the argument.
    func writing<T>(_ body: (inout [UInt64]) throws(StoreError) -> T) throws(StoreError) -> T {
        var numbers: [UInt64] = []
        do throws(StoreError) { return try body(&numbers) } catch {
            // A manifest whose replacement broke off may tell of them; then only the next opening knows.
            let mayCount = isPoisoned.load(ordering: .acquiring)
            for number in mayCount ? [] : numbers {
                try? files.remove("\(directory)/\(FileName.segment(number))")
                try? files.remove("\(directory)/\(FileName.users(number))")
            }
            // What was read may be damaged, but what is to be written is not in doubt then.
            if error.code != .noSpace, error.code != .corrupt { writer.withLock { poison(error.message, &$0) } }
            throw error
        }
    }

    private func newNumber(_ numbers: inout [UInt64]) -> UInt64 {
        let number = manifestState.withLock { manifestState in
            manifestState.nextFile += 1
            return manifestState.nextFile - 1
        }
        numbers.append(number)
        return number
    }

    func writeUsers(
        _ ids: StringTable, _ buckets: [(bucket: Int, first: UInt32, count: UInt32)], seed: UInt64, _ project: UInt32,
        _ numbers: inout [UInt64], _ pace: (Int) -> Void
    ) throws(StoreError) -> UserFile {
        let number = newNumber(&numbers)
        let (bytes, record) = UserFileFormat.encode(ids: ids, buckets: buckets, seed: seed, number: number, project: project, identity)
        pace(bytes.count)
        _ = try io { () throws(FileError) in try files.writeDurably(bytes, to: "\(directory)/\(FileName.users(number))") }
        return try UserFile(record, directory: directory, files: files, owner: owner)
    }

    /// The rows of a view, all of one month; nil where all of them are suppressed users'.
    func writeSegment(
        of view: StoreView, month: Int, project: UInt32, _ numbers: inout [UInt64], _ pace: @escaping (Int) -> Void
    ) throws(StoreError) -> Segment? {
        let number = newNumber(&numbers)
        let record = try SegmentMerge(view).write { () throws(FileError) in
            try SegmentWriter(
                number: number, project: project, month: month, directory: directory, files: files, identity: identity, pace: pace)
        }
        guard let record else {
            try? files.remove("\(directory)/\(FileName.segment(number))")
            return nil
        }
        return try Segment.open(record, directory: directory, files: files, owner: owner, access)
    }

    /// Puts a changed manifest in force. The files that it tells of are synced; their names are here.
    func replaceManifest(_ change: (inout Manifest) -> Void) throws(StoreError) {
        try manifestState.withLock { (manifestState) throws(StoreError) in
            // Where the other of seal and merge broke off a replacement, nobody knows which manifest is in force.
            try checkUsable()
            var manifest = manifestState.manifest
            change(&manifest)
            manifest.generation += 1
            manifest.nextFile = manifestState.nextFile
            do throws(StoreError) {
                try io { () throws(FileError) in
                    try files.syncDirectory(directory)
                    try files.prepareReplacement(of: FileName.manifest, in: directory, with: manifest.encode(identity))
                }
            } catch {
                try? files.remove("\(directory)/\(FileName.manifest)\(FileName.temporarySuffix)")
                throw error
            }
            do throws(FileError) {
                try files.commitReplacement(of: FileName.manifest, in: directory)
            } catch { throw writer.withLock { poison(error, &$0) } }
            manifestState.manifest = manifest
        }
    }
}

extension ShardStore.Project {
    /// The memtable alone, as a seal reads it, month by month.
    fileprivate func sealing() -> [(month: Int, rows: StoreView)] {
        let codes = Dictionary(uniqueKeysWithValues: nameCodes.map { ($0.value, $0.key) })
        return memtable.byMonth().map { month, rows in
            let names = Set(rows.runs.flatMap(\.names)).compactMap { codes[$0] }.sorted()
            let view = StoreView(
                segments: [], memtable: rows, users: users, suppressed: suppressed, nameCodes: nameCodes, names: names,
                places: PlaceMap(counts: users.counts), newestTime: newestTime)
            return (month, view)
        }
    }
}
