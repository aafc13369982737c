import Codec
import FunnelModel

/// The header of a log file. Its checksum is the seed of the records' checksums, so that a record is valid only in this file,
/// shard and cluster.
struct LogHeader: Equatable {
    let bytes: [UInt8]
    let firstRecord: UInt64

    init(number: UInt64, firstRecord: UInt64, _ identity: StoreIdentity, version: UInt16 = StorageFormat.version) {
        var out = ByteWriter(reserving: StorageFormat.logHeaderBytes)
        FilePrefix.write(.log, identity, version: version, &out)
        out.integer(number)
        out.integer(firstRecord)
        out.integer(CRC32C.checksum(out.bytes))
        bytes = out.bytes
        self.firstRecord = firstRecord
    }

    /// Reads the header from the first bytes of a log file; nil if it is not whole, as a crash may leave it. Throws for a
    /// whole header of another file, store or version: no crash leaves that.
    init?(_ found: [UInt8], number: UInt64, _ owner: FileOwner) throws(StoreError) {
        guard found.count == StorageFormat.logHeaderBytes,
            CRC32C.checksum(found, range: 0..<(found.count - 4)) == littleEndian(found, at: found.count - 4)
        else { return nil }
        let name = FileName.log(number)
        var (_, reader) = try FilePrefix.check(.log, found, owner, file: name)
        guard let stored: UInt64 = try? reader.integer("number"), stored == number, let first: UInt64 = try? reader.integer("first record")
        else {
            throw .corrupt(name, offset: StorageFormat.prefixBytes, expected: "log \(number)", found: "another log's header")
        }
        bytes = found
        firstRecord = first
    }

    var seed: UInt32 { littleEndian(bytes, at: bytes.count - 4) }

    /// Whether a log with this header may be continued: it is of the current format version and cluster.
    func isPresent(_ identity: StoreIdentity, number: UInt64) -> Bool {
        self == LogHeader(number: number, firstRecord: firstRecord, identity)
    }
}

/// The header of a log record: magic, kind, sequence, the body's length and checksum, and its own checksum, which also
/// covers the offset in the file.
struct RecordHeader: Equatable {
    var kind: UInt8
    var sequence: UInt64
    var length: Int
    var bodyChecksum: UInt32

    func encode(offset: Int, seed: UInt32) -> [UInt8] {
        var out = ByteWriter(reserving: StorageFormat.recordHeaderBytes)
        out.integer(StorageFormat.recordMagic)
        out.integer(kind)
        out.append([0, 0, 0])
        out.integer(sequence)
        out.integer(UInt32(truncatingIfNeeded: length))
        out.integer(bodyChecksum)
        out.integer(Self.checksum(out.bytes, at: 0, offset: offset, seed: seed))
        return out.bytes
    }

    /// Reads the header at `bytes[at...]`, which is at `offset` of the file; nil if no valid header is there.
    init?(_ bytes: [UInt8], at: Int, offset: Int, seed: UInt32) {
        guard at >= 0, bytes.count - at >= StorageFormat.recordHeaderBytes,
            littleEndian(bytes, at: at) == StorageFormat.recordMagic,
            littleEndian(bytes, at: at + 24) == Self.checksum(bytes, at: at, offset: offset, seed: seed)
        else { return nil }
        kind = bytes[at + 4]
        sequence = UInt64(littleEndian(bytes, at: at + 8)) | UInt64(littleEndian(bytes, at: at + 12)) << 32
        length = Int(littleEndian(bytes, at: at + 16))
        bodyChecksum = littleEndian(bytes, at: at + 20)
    }

    init(kind: UInt8, sequence: UInt64, body: [UInt8]) {
        self.kind = kind
        self.sequence = sequence
        length = body.count
        bodyChecksum = CRC32C.checksum(body)
    }

    private static func checksum(_ bytes: [UInt8], at: Int, offset: Int, seed: UInt32) -> UInt32 {
        var place = ByteWriter()
        place.integer(UInt64(offset))
        let seed = CRC32C.checksum(place.bytes, seed: seed)
        return CRC32C.checksum(bytes, range: at..<(at + StorageFormat.recordHeaderBytes - 4), seed: seed)
    }
}
