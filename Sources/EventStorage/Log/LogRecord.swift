import Codec
import FunnelModel

/// One append as it was decided: the rows that were accepted, and the numbers of those that were not.
struct LoggedAppend: Sendable {
    var project: UInt32
    /// Seconds since 1970, by the shard's clock; 0 in records of format 3, which had none.
    var time: UInt64
    var name: DeliveryName
    /// Nobody repeats it but at once.
    var isShort: Bool
    /// What was decided with this record: rows that were known are not among them.
    var content: Delivered
    var batch: EventBatch
    /// By the batch's user codes; those that are new to the shard are given by this record.
    var ordinals: [UInt32]
}

/// What one log record holds; all of it becomes durable at once, or none.
enum LogBody: Sendable {
    case appends([LoggedAppend])
    case suppress(project: UInt32, users: StringTable, ordinals: [UInt32])

    var kind: UInt8 {
        switch self {
        case .appends: 3
        case .suppress: 2
        }
    }

    func encode() -> [UInt8] {
        var out = ByteWriter()
        switch self {
        case .appends(let appends):
            out.varint(UInt64(appends.count))
            for append in appends {
                out.integer(append.project)
                out.integer(append.time)
                out.integer(append.name.producer)
                out.integer(append.name.sequence)
                out.integer(append.name.part)
                out.integer(append.isShort ? 1 : 0 as UInt8)
                append.content.encode(&out)
                let batch = EventBatchCodec.encode(append.batch, compressed: true)
                out.integer(UInt32(truncatingIfNeeded: batch.count))
                out.append(batch)
                for ordinal in append.ordinals { out.integer(ordinal) }
            }
        case .suppress(let project, let users, let ordinals):
            out.integer(project)
            out.varint(UInt64(users.count))
            for i in 0..<users.count { out.string(users[i]) }
            for ordinal in ordinals { out.integer(ordinal) }
        }
        return out.bytes
    }

    static func decode(kind: UInt8, _ bytes: [UInt8]) throws(ByteError) -> LogBody {
        var reader = ByteReader(bytes)
        switch kind {
        case 1, 3:
            var appends: [LoggedAppend] = []
            for _ in 0..<(try reader.count(limit: bytes.count, "appends")) {
                var append = try kind == 1 ? headOfFormat3(&reader) : head(&reader)
                let length: UInt32 = try reader.integer("batch length")
                let range = try reader.take(Int(length), "batch")
                append.batch = try EventBatchCodec.decode(bytes, range: range, bounds: StorageFormat.logBounds)
                append.ordinals = try ordinals(&reader, append.batch.users.count)
                appends.append(append)
            }
            try reader.finish("record")
            return .appends(appends)
        case 2:
            let project: UInt32 = try reader.integer("project")
            var users = StringTable()
            for _ in 0..<(try reader.count(limit: bytes.count, "users")) {
                users.append(try reader.string(limit: Limits.userIDBytes, "user"))
            }
            let ordinals = try ordinals(&reader, users.count)
            try reader.finish("record")
            return .suppress(project: project, users: users, ordinals: ordinals)
        default: throw ByteError(offset: 0, reason: "record kind \(kind) is unknown")
        }
    }
}

extension LogBody {
    private static func head(_ reader: inout ByteReader) throws(ByteError) -> LoggedAppend {
        let project: UInt32 = try reader.integer("project")
        let time: UInt64 = try reader.integer("time")
        let name = DeliveryName(
            producer: try reader.integer("producer"), sequence: try reader.integer("sequence"), part: try reader.integer("part"))
        let flags: UInt8 = try reader.integer("flags")
        let content = try Delivered(&reader)
        return LoggedAppend(
            project: project, time: time, name: name, isShort: flags & 1 == 1, content: content, batch: EventBatch(), ordinals: [])
    }

    private static func headOfFormat3(_ reader: inout ByteReader) throws(ByteError) -> LoggedAppend {
        let project: UInt32 = try reader.integer("project")
        let (producer, sequence): (UInt64, UInt64) = (try reader.integer("producer"), try reader.integer("sequence"))
        let (part, fingerprint): (UInt32, UInt32) = (try reader.integer("part"), try reader.integer("fingerprint"))
        let content = Delivered(fingerprint: fingerprint, buckets: nil, rejected: try RejectedRows.decode(&reader))
        return LoggedAppend(
            project: project, time: 0, name: DeliveryName(producer: producer, sequence: sequence, part: part), isShort: false,
            content: content,
            batch: EventBatch(), ordinals: [])
    }
}

extension Delivered {
    fileprivate func encode(_ out: inout ByteWriter) {
        out.integer(fingerprint)
        out.integer(buckets == nil ? 0 : 1 as UInt8)
        buckets?.encode(&out)
        RejectedRows.encode(rejected, &out)
    }

    fileprivate init(_ reader: inout ByteReader) throws(ByteError) {
        fingerprint = try reader.integer("fingerprint")
        let form: UInt8 = try reader.integer("whether buckets follow")
        guard form <= 1 else { throw ByteError(offset: reader.offset, reason: "\(form) for whether buckets follow") }
        buckets = form == 0 ? nil : try BucketSet(&reader)
        rejected = try RejectedRows.decode(&reader)
    }
}

private func ordinals(_ reader: inout ByteReader, _ count: Int) throws(ByteError) -> [UInt32] {
    var ordinals: [UInt32] = []
    ordinals.reserveCapacity(min(count, reader.remaining / 4))
    for _ in 0..<count { ordinals.append(try reader.integer("ordinal")) }
    return ordinals
}

/// The header of a log file. Its checksum seeds those of the records, which bind them to this cluster, shard and file.
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

    /// What begins a log's file; nil where that is no whole header, as a crash may leave it. A whole header of another file,
    /// store or version is never the trace of a crash.
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

    /// Whether a log that begins so may go on: it is of the present format and cluster.
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

    /// The header at `bytes[at...]`, which lies at `offset` of the file; nil where there is none.
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
