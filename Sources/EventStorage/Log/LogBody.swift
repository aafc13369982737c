import Codec
import FunnelModel

/// One append as decided: the accepted rows, and the numbers of the rejected ones.
struct LoggedAppend: Sendable {
    var project: UInt32
    /// Seconds since 1970, by the shard's clock; 0 in records of format 3, which had none.
    var time: UInt64
    var name: DeliveryName
    /// Whether the delivery is remembered for a minute only.
    var isShort: Bool
    /// The decision of this record; rows that were known before are not part of it.
    var content: Delivered
    var batch: EventBatch
    /// By the batch's user codes. A user that is new to the shard gets the ordinal by this record.
    var ordinals: [UInt32]
}

/// The body of one log record, which becomes durable as a whole or not at all (`SEGMENT.md`, Log).
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

    /// Decodes a body; kind 1 is that of kind 3 in version 3 (`SEGMENT.md`, Differences of version 3).
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
