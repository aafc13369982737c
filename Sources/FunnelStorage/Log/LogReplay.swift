import FunnelCodec
import FunnelModel

/// Reads one log file from its beginning.
struct LogReplay<File: StorageFile> {
    let file: File
    let number: UInt64
    let size: Int
    /// The next record to come; a gap is damage.
    private(set) var nextRecord: UInt64
    private(set) var offset = 0
    /// Whether the header is whole; if not, nothing is in the file.
    private(set) var hasHeader = false
    private let header: LogHeader
    /// Only in the last file can a record be unfinished.
    private let isLast: Bool

    private var name: String { FileName.log(number) }

    init(
        file: File, number: UInt64, nextRecord: UInt64, isLast: Bool, identity: StoreIdentity
    ) throws(StoreError) {
        self.file = file
        self.number = number
        self.nextRecord = nextRecord
        self.isLast = isLast
        header = LogHeader(number: number, firstRecord: nextRecord, identity)
        do throws(FileError) { size = try file.size() } catch { throw StoreError(error) }
        let found = try read(at: 0, count: StorageFormat.logHeaderBytes)
        if found == header.bytes {
            hasHeader = true
            offset = found.count
            return
        }
        // A whole header of another file, store or version is never the trace of a crash.
        if found.count == StorageFormat.logHeaderBytes,
            CRC32C.checksum(found, range: 0..<(found.count - 4)) == littleEndian(found, at: found.count - 4) {
            _ = try FilePrefix.check(.log, found, identity, file: name)
            throw .corrupt(
                name, offset: StorageFormat.prefixBytes, expected: "log \(number) from record \(nextRecord)",
                found: "another log's header")
        }
        try damaged(expected: "a log header", found: "\(found.count) bytes that are none")
    }

    /// The next record; nil at the end, where `offset < size` means an unfinished record to be cut off.
    mutating func next() throws(StoreError) -> LogBody? {
        guard hasHeader, offset < size else { return nil }
        let bytes = try read(at: offset, count: StorageFormat.recordHeaderBytes)
        guard let record = RecordHeader(bytes, at: 0, offset: offset, seed: header.seed) else {
            try damaged(expected: "the header of record \(nextRecord)", found: "\(bytes.count) bytes that are none")
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
            return value
        } catch {
            // The checksum holds, so this is what was written: no crash explains it.
            throw .corrupt(name, offset: start + error.offset, expected: "record \(nextRecord)", found: error.reason)
        }
    }

    /// Returns where the damage at `offset` may be a record that a crash left unfinished, and throws elsewhere.
    private func damaged(expected: String, found: String) throws(StoreError) {
        let error = StoreError.corrupt(name, offset: offset, expected: expected, found: found)
        guard isLast else { throw error }
        if let later = try laterRecord() {
            throw StoreError(
                .corrupt, error.message + "; record \(later.sequence) follows whole at offset \(later.offset)")
        }
    }

    /// A record behind the damage: only the last can be unfinished, so what precedes one was whole once.
    private func laterRecord() throws(StoreError) -> (sequence: UInt64, offset: Int)? {
        let chunk = 1 << 20
        let first = UInt8(truncatingIfNeeded: StorageFormat.recordMagic)
        var at = offset
        // The record that failed the test is not its own successor, but behind a bad file header any record counts.
        let least = hasHeader ? nextRecord + 1 : nextRecord
        while at < size {
            let bytes = try read(at: at, count: chunk + StorageFormat.recordHeaderBytes)
            for i in 0..<min(chunk, bytes.count) where bytes[i] == first {
                let record = RecordHeader(bytes, at: i, offset: at + i, seed: header.seed)
                if let record, record.sequence >= least { return (record.sequence, at + i) }
            }
            at += chunk
        }
        return nil
    }

    private func read(at offset: Int, count: Int) throws(StoreError) -> [UInt8] {
        do throws(FileError) { return try file.read(at: offset, count: count) } catch { throw StoreError(error) }
    }
}
