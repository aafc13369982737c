import FunnelModel
import Synchronization

extension ShardStore {
    /// Turns what is in memory into segments and drops the logs that held it. Appends go on meanwhile.
    /// - Parameter pace: told of bytes before they are written, and may wait.
    package func seal(pace: @escaping (Int) -> Void = { _ in }) throws(StoreError) {
        try maintenance.withLock { (state) throws(StoreError) in try seal(&state, pace) }
    }

    /// Whether memory or the logs hold enough for a seal.
    package var isSealDue: Bool { maintenance.withLock { isDue($0) } }

    private func isDue(_ state: borrowing Maintenance) -> Bool {
        let stats = self.stats
        // The log by itself too: appends of which no row is accepted leave nothing in memory.
        return stats.memtableRows >= max(options.sealRows, state.sealAfterRows)
            || stats.memtableBytes >= max(options.sealBytes, state.sealAfterBytes)
            || stats.logBytes >= max(4 * options.sealBytes, state.sealAfterLog)
    }

    /// Does one piece of the work that is due: a seal, else a merge. What is durable stays so either way: an error is
    /// counted, and where it leaves the store unusable the next call that writes says so.
    /// - Returns: whether something was done, so that more may be due.
    package func maintain(pace: @escaping (Int) -> Void = { _ in }) -> Bool {
        maintenance.withLock { state in
            if writer.withLock({ $0.poison }) != nil { return false }
            if isDue(state) { return sealDue(&state, pace) }
            do throws(StoreError) { return try mergeDue(&state, pace) } catch {
                shared.withLock { $0.stats.failedMerges += 1 }
                return false
            }
        }
    }

    private func sealDue(_ state: inout Maintenance, _ pace: @escaping (Int) -> Void) -> Bool {
        let before = stats
        do throws(StoreError) {
            try seal(&state, pace)
            state.sealAfterRows = 0
            state.sealAfterBytes = 0
            state.sealAfterLog = 0
            return true
        } catch {
            state.sealAfterRows = before.memtableRows + max(1, options.sealRows / 4)
            state.sealAfterBytes = before.memtableBytes + max(1, options.sealBytes / 4)
            state.sealAfterLog = before.logBytes + max(1, options.sealBytes)
            return false
        }
    }

    /// What was in memory when a seal began.
    private struct Frozen {
        var projects: [UInt32: (project: Project, users: [UserPart])] = [:]
        var firstLog: UInt64 = 0
        var nextRecord: UInt64 = 0
        var producers = ProducerTable()
    }

    private func seal(_ state: inout Maintenance, _ pace: @escaping (Int) -> Void) throws(StoreError) {
        let frozen = try writer.withLock { (writer) throws(StoreError) in try freeze(&writer, state.manifest) }
        guard let frozen else { return }
        do throws(StoreError) {
            let sealed = try prepare(frozen, &state, pace)
            try commit(sealed.manifest, &state)
            publish(sealed, frozen)
            // What can't be removed now goes at the next opening.
            for number in sealed.firstLogBefore..<frozen.firstLog { try? files.remove("\(directory)/\(FileName.log(number))") }
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
        frozen.producers = writer.producers
        shared.withLock { shared in
            for number in shared.projects.keys {
                guard let memtable = shared.projects[number]?.memtable.freeze(), var project = shared.projects[number] else { continue }
                project.memtable = memtable
                frozen.projects[number] = (project, project.users.freeze())
            }
        }
        return frozen
    }

    struct Sealed {
        var manifest: Manifest
        var segments: [UInt32: [Segment]] = [:]
        var users: [UInt32: UserFile] = [:]
        var firstLogBefore: UInt64
    }

    /// Writes the files and the next manifest beside the present one, which stays in force.
    private func prepare(_ frozen: Frozen, _ state: inout Maintenance, _ pace: @escaping (Int) -> Void) throws(StoreError) -> Sealed {
        var sealed = Sealed(manifest: state.manifest, firstLogBefore: state.manifest.firstLog)
        return try writing(&state) { (state) throws(StoreError) in
            for (number, (project, users)) in frozen.projects.sorted(by: { $0.key < $1.key }) {
                if !users.isEmpty {
                    let (ids, buckets) = UserFileMerge.ids(of: users)
                    sealed.users[number] = try writeUsers(ids, buckets, number, &state, pace)
                }
                if project.memtable.rows > 0 {
                    let written = try writeSegments(of: project.sealing(), project: number, &state, pace)
                    sealed.segments[number] = written
                    sealed.manifest.segments += written.map(\.record)
                    shared.withLock { $0.stats.sealedBytes += written.reduce(0) { $0 + $1.record.bytes } }
                }
                sealed.manifest.userFiles += sealed.users[number].map { [$0.record] } ?? []
                sealed.manifest.suppressed[number] = project.suppressed.isEmpty ? nil : Set(project.users.ids(project.suppressed))
            }
            sealed.manifest.generation += 1
            sealed.manifest.firstLog = frozen.firstLog
            sealed.manifest.nextFile = state.nextFile
            sealed.manifest.nextRecord = frozen.nextRecord
            sealed.manifest.producers = frozen.producers
            try prepare(sealed.manifest)
            return sealed
        }
    }

    private func publish(_ sealed: Sealed, _ frozen: Frozen) {
        writer.withLock { writer in
            writer.olderLogBytes = 0
            let logBytes = writer.logSize
            shared.withLock { shared in
                for (number, (project, users)) in frozen.projects {
                    shared.projects[number]?.memtable.drop(project.memtable)
                    shared.projects[number]?.segments += sealed.segments[number] ?? []
                    if let file = sealed.users[number] { project.users.replace(parts: users.count, with: file) }
                }
                shared.stats.seals += 1
                shared.stats.logFiles = 1
                shared.stats.logBytes = logBytes
            }
        }
    }

    /// Goes over to a new, empty log. On an error the present log stays, or, where a trace of the new one may remain,
    /// the store is poisoned: two last logs would make a torn record look like damage.
    private func startLog(_ writer: inout Writer) throws(StoreError) {
        // A log without records serves again, as after a seal that failed.
        let empty = writer.logSize == StorageFormat.logHeaderBytes
        if empty && writer.firstRecordOfLog == writer.nextRecord { return }
        let number = writer.logNumber + 1
        let path = "\(directory)/\(FileName.log(number))"
        let header = LogHeader(number: number, firstRecord: writer.nextRecord, identity)
        do throws(FileError) {
            let file = try files.writeDurably(header.bytes, to: path)
            try files.syncDirectory(directory)
            writer.olderLogBytes += writer.logSize
            writer.log = file
            writer.logNumber = number
            writer.logSize = header.bytes.count
            writer.firstRecordOfLog = writer.nextRecord
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
    /// what is short.
    func writing<T>(
        _ state: inout Maintenance, _ body: (inout Maintenance) throws(StoreError) -> T
    ) throws(StoreError) -> T {
        let first = state.nextFile
        do throws(StoreError) { return try body(&state) } catch {
            for number in first..<state.nextFile {
                try? files.remove("\(directory)/\(FileName.segment(number))")
                try? files.remove("\(directory)/\(FileName.users(number))")
            }
            try? files.remove("\(directory)/\(FileName.manifest)\(FileName.temporarySuffix)")
            if error.code != .noSpace { writer.withLock { poison(error.message, &$0) } }
            throw error
        }
    }

    func writeUsers(
        _ ids: StringTable, _ buckets: [(bucket: Int, first: UInt32, count: UInt32)], _ project: UInt32, _ state: inout Maintenance,
        _ pace: (Int) -> Void
    ) throws(StoreError) -> UserFile {
        let number = state.nextFile
        state.nextFile += 1
        let (bytes, record) = UserFileFormat.encode(ids: ids, buckets: buckets, number: number, project: project, identity)
        pace(bytes.count)
        _ = try io { () throws(FileError) in try files.writeDurably(bytes, to: "\(directory)/\(FileName.users(number))") }
        return try UserFile(record, directory: directory, files: files, identity: identity)
    }

    func writeSegments(
        of snapshot: Snapshot, project: UInt32, _ state: inout Maintenance, _ pace: @escaping (Int) -> Void
    ) throws(StoreError) -> [Segment] {
        var written: [Segment] = []
        for month in try SegmentMerge.months(of: snapshot) {
            let number = state.nextFile
            state.nextFile += 1
            let merge = SegmentMerge(snapshot, month: month)
            let record = try merge.write { () throws(FileError) in
                try SegmentWriter(
                    number: number, project: project, month: month, directory: directory, files: files, identity: identity, pace: pace)
            }
            guard let record else {
                // All its rows are hidden users'.
                try? files.remove("\(directory)/\(FileName.segment(number))")
                continue
            }
            written.append(try Segment.open(record, directory: directory, files: files, identity: identity))
        }
        return written
    }

    /// Syncs the names of new files and writes the next manifest beside the present one.
    func prepare(_ manifest: Manifest) throws(StoreError) {
        try io { () throws(FileError) in
            try files.syncDirectory(directory)
            try files.prepareReplacement(of: FileName.manifest, in: directory, with: manifest.encode(identity))
        }
    }

    func commit(_ manifest: Manifest, _ state: inout Maintenance) throws(StoreError) {
        do throws(FileError) {
            try files.commitReplacement(of: FileName.manifest, in: directory)
        } catch {
            throw writer.withLock { poison(error, &$0) }
        }
        state.manifest = manifest
    }
}

extension ShardStore.Project {
    /// The memtable alone, as a seal reads it.
    fileprivate func sealing() -> Snapshot {
        var alone = self
        alone.segments = []
        return alone.snapshot()
    }
}
