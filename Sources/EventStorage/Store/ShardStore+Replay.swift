import FunnelModel
import Synchronization

extension ShardStore {
    /// The state of the last log after replay.
    struct LogTail {
        var log: LogReplay<Files.File>
        /// Records in it.
        var records: UInt64
        /// Whether the log before holds its first record too: then an earlier opening began this log and synced that record.
        var isCarried: Bool
    }

    /// Replays all records of the live logs; changes nothing on disk.
    func replay(
        _ logs: OpenLogs<Files>, _ writer: inout Writer, _ progress: (@Sendable (Int, Int) -> Void)?
    ) throws(StoreError) -> LogTail {
        var before = 0
        var isCarried = false
        var tail: LogTail?
        for number in logs.numbers {
            let first = writer.nextRecord
            var log = try logs.open(number, nextRecord: first)
            while true {
                let start = log.offset
                guard let body = try log.next() else { break }
                guard replay(body, &writer) else {
                    throw .corrupt(
                        FileName.log(number), offset: start, expected: "the ordinals of known users", found: "other ordinals")
                }
                writer.nextRecord = log.nextRecord
                shared.withLock { $0.stats.replayedRecords += 1 }
                progress?(before + log.offset, logs.bytes)
            }
            before += log.size
            writer.olderLogBytes = before - log.size
            tail = LogTail(log: log, records: log.nextRecord - first, isCarried: isCarried)
            isCarried = log.offset < log.size
        }
        // `OpenLogs` has at least one log.
        guard let tail else { throw StoreError(.corrupt, "no logs") }
        shared.withLock { $0.stats.logFiles = logs.numbers.count }
        return tail
    }

    /// Applies one record; false if its ordinals contradict those of known users.
    private func replay(_ body: LogBody, _ writer: inout Writer) -> Bool {
        switch body {
        case .suppress(let project, let users, let ordinals):
            guard dictionary(project).restore(users, ordinals) else { return false }
            hide(project, ordinals)
        case .appends(let appends):
            for append in appends where !dictionary(append.project).restore(append.batch.users, append.ordinals) { return false }
            apply(appends, &writer)
        }
        return true
    }

    /// Prepares the last log for new records, or begins another one (`SEGMENT.md`, Opening and recovery, steps 7 and 8).
    func settle(_ tail: LogTail, _ stop: Manifest.StopNote, _ writer: inout Writer) throws(StoreError) {
        let log = tail.log
        let path = "\(directory)/\(FileName.log(log.number))"
        let file = try io { () throws(FileError) in try files.open(path, .append) }
        if let header = log.header {
            if log.isTorn { try cut(file, to: log.offset, of: log.size) }
            writer.use(file, log.number, header, bytes: log.offset)
            // Records before a torn one were synced; so were those that a clean stop counts or an earlier opening carried over.
            let isDurable =
                log.isTorn || tail.records == 0 || (tail.records == 1 && tail.isCarried)
                || (stop.log == log.number && stop.bytes == log.offset)
            let isPresent = header.isPresent(identity, number: log.number)
            if !isDurable || !isPresent { return try beginLog(after: log, mayStay: isPresent, &writer) }
            // A log that a killed process began may be in the page cache only.
            if tail.records == 0 { try io { () throws(FileError) in try file.sync() } }
        } else {
            try cut(file, to: 0, of: log.size)
            let header = LogHeader(number: log.number, firstRecord: writer.nextRecord, identity)
            try io { () throws(FileError) in
                try file.append(header.bytes)
                try file.sync()
            }
            writer.use(file, log.number, header, bytes: header.bytes.count)
        }
    }

    private func cut(_ file: Files.File, to size: Int, of bytes: Int) throws(StoreError) {
        try io { () throws(FileError) in
            try file.truncate(to: size)
            try file.sync()
        }
        shared.withLock { $0.stats.tornBytesCut += bytes - size }
    }

    /// Begins a log with the last record of the one before. The sync of that record may have failed, and a second sync of the
    /// same file would succeed without a write (Linux marks pages clean after a failed sync). From here on the record counts
    /// as stored, and a repeat of it is acknowledged. The rename comes last, so the log is there as a whole or not at all.
    /// - Parameter mayStay: whether the log before may be continued if the disk is full.
    private func beginLog(after log: LogReplay<Files.File>, mayStay: Bool, _ writer: inout Writer) throws(StoreError) {
        let number = log.number + 1
        let header = LogHeader(number: number, firstRecord: writer.nextRecord - (log.lastRecord == nil ? 0 : 1), identity)
        var bytes = header.bytes
        if let (kind, body) = log.lastRecord {
            bytes +=
                RecordHeader(kind: kind, sequence: header.firstRecord, body: body).encode(offset: bytes.count, seed: header.seed) + body
        }
        let name = FileName.log(number)
        do throws(FileError) {
            try files.prepareReplacement(of: name, in: directory, with: bytes)
        } catch {
            try? files.remove("\(directory)/\(name)\(FileName.temporarySuffix)")
            guard error.isNoSpace, mayStay else { throw StoreError(error) }
            return try io { () throws(FileError) in try writer.log?.sync() }
        }
        try io { () throws(FileError) in
            try files.commitReplacement(of: name, in: directory)
            writer.olderLogBytes += writer.logSize
            writer.use(try files.open("\(directory)/\(name)", .append), number, header, bytes: bytes.count)
        }
        shared.withLock { $0.stats.logFiles += 1 }
    }
}
