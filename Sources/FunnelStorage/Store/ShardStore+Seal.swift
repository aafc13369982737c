import FunnelModel
import Synchronization

extension ShardStore {
    /// Turns what is in memory into segments and drops the logs that held it.
    package func seal() throws(StoreError) {
        try writer.withLock { (writer) throws(StoreError) in
            try checkUsable(writer)
            try seal(&writer)
        }
    }

    /// Seals if memory holds enough. The appends before are durable either way, so an error is no error of theirs: it
    /// is counted, and where it leaves the store unusable the next call that writes says so.
    func sealIfDue(_ writer: inout Writer) {
        let (rows, bytes) = shared.withLock { ($0.stats.memtableRows, $0.stats.memtableBytes) }
        let log = writer.olderLogBytes + writer.logSize
        // The log by itself too: appends of which no row is accepted leave nothing in memory.
        guard rows >= max(options.sealRows, writer.sealAfterRows)
            || bytes >= max(options.sealBytes, writer.sealAfterBytes)
            || log >= max(4 * options.sealBytes, writer.sealAfterLog) else { return }
        do throws(StoreError) {
            try seal(&writer)
            writer.sealAfterRows = 0
            writer.sealAfterBytes = 0
            writer.sealAfterLog = 0
        } catch {
            writer.sealAfterRows = rows + max(1, options.sealRows / 4)
            writer.sealAfterBytes = bytes + max(1, options.sealBytes / 4)
            writer.sealAfterLog = log + max(1, options.sealBytes)
        }
    }

    private func seal(_ writer: inout Writer) throws(StoreError) {
        let idle = writer.manifest.nextRecord == writer.nextRecord
        if idle { return }
        do throws(StoreError) {
            try startLog(&writer)
            let projects = shared.withLock { $0.projects }
            var sealed: [UInt32: Segment] = [:]
            let manifest = try prepare(projects, &sealed, &writer)
            do throws(FileError) {
                try files.commitReplacement(of: FileName.manifest, in: directory)
            } catch { throw poison(error, &writer) }
            let done = writer.manifest.firstLog
            writer.manifest = manifest
            writer.olderLogBytes = 0
            publish(sealed, logBytes: writer.logSize)
            // What can't be removed now goes at the next opening.
            for number in done..<manifest.firstLog { try? files.remove("\(directory)/\(FileName.log(number))") }
        } catch {
            shared.withLock { $0.stats.failedSeals += 1 }
            throw error
        }
    }

    /// Writes the segments and the next manifest beside the present one, which stays in force.
    private func prepare(
        _ projects: [UInt32: Project], _ sealed: inout [UInt32: Segment], _ writer: inout Writer
    ) throws(StoreError) -> Manifest {
        let first = writer.nextSegment
        do throws(StoreError) {
            var manifest = writer.manifest
            for (project, state) in projects.sorted(by: { $0.key < $1.key }) where !state.runs.isEmpty {
                let number = writer.nextSegment
                writer.nextSegment += 1
                let record = try writeSegment(state.runs, number: number, project: project)
                sealed[project] = try Segment.open(record, directory: directory, files: files, identity: identity)
                manifest.segments.append(record)
            }
            manifest.generation += 1
            manifest.firstLog = writer.logNumber
            manifest.nextSegment = writer.nextSegment
            manifest.nextRecord = writer.nextRecord
            manifest.nextRow = writer.nextRow
            manifest.suppressed = projects.mapValues(\.suppressed).filter { !$0.value.isEmpty }
            manifest.producers = writer.producers
            do throws(FileError) {
                try files.syncDirectory(directory)
                try files.prepareReplacement(of: FileName.manifest, in: directory, with: manifest.encode(identity))
            } catch { throw StoreError(error) }
            return manifest
        } catch {
            // The old manifest is in force, so these are nobody's; their space may be what is short.
            for number in first..<writer.nextSegment {
                try? files.remove("\(directory)/\(FileName.segment(number))")
            }
            try? files.remove("\(directory)/\(FileName.manifest)\(FileName.temporarySuffix)")
            if error.code != .noSpace {
                writer.poison = error.message
                shared.withLock { $0.stats.poisoned = true }
            }
            throw error
        }
    }

    private func writeSegment(
        _ runs: [SortedRows], number: UInt64, project: UInt32
    ) throws(StoreError) -> SegmentRecord {
        func writing<T>(_ body: () throws(FileError) -> T) throws(StoreError) -> T {
            do throws(FileError) { return try body() } catch { throw StoreError(error) }
        }
        var segment = try writing { () throws(FileError) in
            try SegmentWriter(
                number: number, project: project, directory: directory, files: files, identity: identity)
        }
        try mergeRows(
            runs, blockRows: StorageFormat.blockRows, blockBytes: StorageFormat.blockBytes
        ) { rows throws(StoreError) in
            try writing { () throws(FileError) in try segment.append(rows) }
        }
        do throws(FileError) { return try segment.finish() } catch { throw StoreError(error) }
    }

    private func publish(_ sealed: [UInt32: Segment], logBytes: Int) {
        shared.withLock { shared in
            for (project, segment) in sealed {
                shared.projects[project]?.runs = []
                shared.projects[project]?.segments.append(segment)
                shared.stats.segments += 1
                shared.stats.segmentBytes += segment.record.bytes
            }
            shared.stats.memtableRows = 0
            shared.stats.memtableBytes = 0
            shared.stats.seals += 1
            shared.stats.logFiles = 1
            shared.stats.logBytes = logBytes
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
