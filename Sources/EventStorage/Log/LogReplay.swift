import Codec
import FunnelModel

/// Reads one log file from its beginning.
struct LogReplay<File: StorageFile> {
    let file: File
    let number: UInt64
    let size: Int
    /// Sequence of the next record; a gap is damage.
    private(set) var nextRecord: UInt64
    private(set) var offset = 0
    /// Header of the file; nil if it is not whole, and then no record is read.
    private(set) var header: LogHeader?
    /// The last record read, if this is the last log.
    private(set) var lastRecord: (kind: UInt8, body: [UInt8])?
    private let owner: FileOwner
    private let place: Place

    /// Facts about this log that come from the manifest and the other logs.
    struct Place {
        /// Whether it is the last log; only there can a record be unfinished.
        var isLast: Bool
        /// First record of the next log, where this one ends: bytes after that are ignored. nil for the last log.
        var end: UInt64?
        /// Bytes that were durable at a clean stop, so that no crash can have torn them.
        var durable = 0
    }

    private var name: String { FileName.log(number) }

    /// Opens a log and reads its header. Throws `.corrupt` if the file is shorter than at the clean stop, or is not the next log.
    init(file: File, number: UInt64, nextRecord: UInt64, owner: FileOwner, place: Place) throws(StoreError) {
        self.file = file
        self.number = number
        self.nextRecord = nextRecord
        self.owner = owner
        self.place = place
        do throws(FileError) { size = try file.size() } catch { throw StoreError(error) }
        guard size >= place.durable else {
            throw .corrupt(name, offset: size, expected: "\(place.durable) bytes, as a clean stop left it", found: "\(size)")
        }
        let found = try read(at: 0, count: StorageFormat.logHeaderBytes)
        header = try LogHeader(found, number: number, owner)
        guard let header else {
            try damaged(expected: "a log header", found: "\(found.count) other bytes")
            return
        }
        guard header.firstRecord == nextRecord else {
            throw .corrupt(
                name, offset: StorageFormat.prefixBytes, expected: "log \(number) from record \(nextRecord)",
                found: "one from record \(header.firstRecord)")
        }
        offset = found.count
    }

    /// Once `next` has returned nil: whether the file ends with an unfinished record, or has only an unfinished header.
    var isTorn: Bool { header == nil || (offset < size && place.end == nil) }

    /// The next record; nil at the end, or at an unfinished record (`isTorn`).
    mutating func next() throws(StoreError) -> LogBody? {
        guard let header, place.end != nextRecord else { return nil }
        guard offset < size else {
            guard let end = place.end else { return nil }
            throw .corrupt(
                name, offset: offset, expected: "records up to \(end), with which the next log begins", found: "\(nextRecord - 1) at last")
        }
        let bytes = try read(at: offset, count: StorageFormat.recordHeaderBytes)
        guard let record = RecordHeader(bytes, at: 0, offset: offset, seed: header.seed) else {
            try damaged(expected: "the header of record \(nextRecord)", found: "\(bytes.count) other bytes")
            return nil
        }
        guard record.sequence == nextRecord else {
            throw .corrupt(name, offset: offset, expected: "record \(nextRecord)", found: "record \(record.sequence)")
        }
        let start = offset + bytes.count
        guard record.length <= size - start else {
            try damaged(expected: "a record of \(record.length) bytes", found: "\(size - start)")
            return nil
        }
        let body = try read(at: start, count: record.length)
        let sum = CRC32C.checksum(body)
        guard sum == record.bodyChecksum else {
            try damaged(expected: "record checksum \(hex(record.bodyChecksum))", found: hex(sum))
            return nil
        }
        do throws(ByteError) {
            let value = try LogBody.decode(kind: record.kind, body)
            nextRecord += 1
            offset = start + record.length
            if place.isLast { lastRecord = (record.kind, body) }
            return value
        } catch {
            // The checksum is right, so these bytes were written: no crash explains them.
            throw .corrupt(name, offset: start + error.offset, expected: "record \(nextRecord)", found: error.reason)
        }
    }

    /// Returns if the damage at `offset` may be a record that a crash left unfinished; throws otherwise.
    private func damaged(expected: String, found: String) throws(StoreError) {
        let error = StoreError.corrupt(name, offset: offset, expected: expected, found: found)
        guard place.isLast, offset >= place.durable else { throw error }
        if let later = try laterRecord() {
            throw StoreError(
                .corrupt, error.message + "; record \(later.sequence) follows whole at offset \(later.offset)")
        }
    }

    /// Finds a whole record after the damage. Only the last record can be unfinished, so one that precedes another was whole once.
    private func laterRecord() throws(StoreError) -> (sequence: UInt64, offset: Int)? {
        let chunk = 1 << 20
        let first = UInt8(truncatingIfNeeded: StorageFormat.recordMagic)
        var at = offset
        // The damaged record itself does not count; after a damaged file header any record does.
        let least = header == nil ? nextRecord : nextRecord + 1
        let seeds = self.seeds
        while at < size {
            let bytes = try read(at: at, count: chunk + StorageFormat.recordHeaderBytes)
            for i in 0..<min(chunk, bytes.count) where bytes[i] == first {
                for seed in seeds {
                    let record = RecordHeader(bytes, at: i, offset: at + i, seed: seed)
                    if let record, record.sequence >= least { return (record.sequence, at + i) }
                }
            }
            at += chunk
        }
        return nil
    }

    /// Seeds of the records' checksums: that of the header, or, if it is damaged, those of every header that the file may have had.
    private var seeds: [UInt32] {
        if let header { return [header.seed] }
        return owner.clusters.flatMap { cluster in
            var identity = owner.identity
            identity.clusterID = cluster
            return (StorageFormat.oldestVersion...StorageFormat.version).map {
                LogHeader(number: number, firstRecord: nextRecord, identity, version: $0).seed
            }
        }
    }

    private func read(at offset: Int, count: Int) throws(StoreError) -> [UInt8] {
        do throws(FileError) { return try file.read(at: offset, count: count) } catch { throw StoreError(error) }
    }
}
