import FunnelModel
import Synchronization

extension ShardStore {
    /// Writes the memtables to segment files and user files, and removes the logs that held their rows. Appends go on meanwhile.
    /// - Parameter pace: called with a number of bytes before they are written; may wait.
    package func seal(pace: @escaping (Int) -> Void = { _ in }) throws(StoreError) {
        try sealing.withLock { (_) throws(StoreError) in try sealNow(pace) }
    }

    /// Seals if the memtables or the logs are large enough. An error is counted and reported, and loses nothing that is
    /// durable. If it has poisoned the store, the next call that writes throws.
    /// - Parameter isIdle: whether no append came for a while. Then fewer rows are enough, since queries read a segment file
    ///   faster than rows in memory.
    /// - Returns: whether a seal was done.
    package func sealIfDue(isIdle: Bool = false, pace: @escaping (Int) -> Void = { _ in }) -> Bool {
        sealing.withLock { rest in
            let now = stats
            rest.calls -= 1
            if rest.calls == 0 { rest = SealBackoff() }
            // Log bytes count too: appends of which every row is rejected leave nothing in memory.
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

    /// Half a minute, if housekeeping calls every 50 ms.
    private static var callsBetweenFailures: Int { 600 }

    /// The data that one seal covers.
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
            // A log that cannot be removed now is removed at the next opening.
            for number in before.firstLog..<frozen.firstLog { try? files.remove("\(directory)/\(FileName.log(number))") }
        } catch {
            shared.withLock { $0.stats.failedSeals += 1 }
            throw error
        }
    }

    /// Starts a new log and freezes the memtables for this seal; nil if nothing was logged since the last seal.
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

    /// Writes the files, then replaces the manifest by one that lists them.
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

    /// Gives readers the sealed files in place of the frozen rows.
    private func publish(_ sealed: Sealed, _ frozen: Frozen, took: Duration) {
        writer.withLock { writer in
            writer.olderLogBytes = 0
            let (logBytes, oldestRow) = (writer.logSize, writer.oldestRow)
            shared.withLock { shared in
                for (number, (project, users)) in frozen.projects {
                    // `frozen` still holds the dropped rows, so they are freed when no lock is held.
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

    /// Switches to a new, empty log. On error the current log stays; if a trace of the new one may be left, the store is
    /// poisoned, because a torn record in a log before the last one looks like damage.
    private func startLog(_ writer: inout Writer) throws(StoreError) {
        // A log without records is used again, as after a seal that failed.
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
            // A file that could not be opened leaves no trace.
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
    /// Runs `body`, which writes files that the manifest does not list yet, and appends each file number that it allocates to
    /// its argument. On error, removes these files: the disk may be full.
    func writing<T>(_ body: (inout [UInt64]) throws(StoreError) -> T) throws(StoreError) -> T {
        var numbers: [UInt64] = []
        do throws(StoreError) { return try body(&numbers) } catch {
            // If the replacement of the manifest failed half-way, the one on disk may list these files; only the next opening can tell.
            let mayCount = isPoisoned.load(ordering: .acquiring)
            for number in mayCount ? [] : numbers {
                try? files.remove("\(directory)/\(FileName.segment(number))")
                try? files.remove("\(directory)/\(FileName.users(number))")
            }
            // `.corrupt` is about files that were read: what was written is not in doubt.
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

    /// Writes a user file and opens it. `buckets` are ascending, `ids` are in the order of their ordinals.
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

    /// Writes a segment file of a view's rows, all of one month, and opens it; nil if no row is to be kept.
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

    /// Replaces the manifest on disk and in memory. The files that it lists must be synced; this syncs their names.
    func replaceManifest(_ change: (inout Manifest) -> Void) throws(StoreError) {
        try manifestState.withLock { (manifestState) throws(StoreError) in
            // If a replacement by another thread failed half-way, it is unknown which manifest is in force.
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
    /// One view of the memtable's rows for each month.
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
