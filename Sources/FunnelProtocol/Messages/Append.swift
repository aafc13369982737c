import Codec
import FunnelModel

/// A batch of events. `(producer, sequence, part)` names it: a repeat gets the first result and stores nothing.
package struct Append: Equatable, Sendable {
    package var producer: UInt64
    package var sequence: UInt64
    package var part: UInt32
    /// Events without an id get `K/<row>`; empty = none. Clients only.
    package var idempotencyKey: ByteString
    package var batch: EventBatch

    package init(producer: UInt64, sequence: UInt64, part: UInt32, idempotencyKey: ByteString = "", batch: EventBatch) {
        self.producer = producer
        self.sequence = sequence
        self.part = part
        self.idempotencyKey = idempotencyKey
        self.batch = batch
    }

    package var body: [UInt8] {
        var out = ByteWriter(reserving: 64 + idempotencyKey.count + EventBatchCodec.estimate(batch))
        out.integer(producer)
        out.integer(sequence)
        out.integer(part)
        out.string(idempotencyKey)
        EventBatchCodec.encode(batch, &out)
        return out.bytes
    }

    /// Offset of the content, which is idempotency key and batch: it follows producer, sequence and part.
    package static let contentStart = 20

    package init(body: [UInt8]) throws(ByteError) {
        var reader = ByteReader(body)
        producer = try reader.integer("producer")
        sequence = try reader.integer("sequence")
        part = try reader.integer("part")
        idempotencyKey = try reader.string(limit: Limits.idempotencyKeyBytes, "idempotency key")
        batch = try EventBatchCodec.decode(body, range: reader.offset..<body.count, bounds: .wire)
    }
}

/// The result of an append. Rows in neither list are stored and durable.
package struct AppendOutcome: Equatable, Sendable {
    package var accepted: Int
    package var repeated: Bool
    package var rejected: [RejectedRow]
    /// Rows whose shard failed: send them, or the whole batch, again.
    package var retry: [Int]
    /// Names of shards that failed.
    package var shards: [String]

    /// A row that was refused for good, by its 0-based number in the batch.
    package struct RejectedRow: Equatable, Sendable {
        package var row: Int
        package var reason: String

        package init(row: Int, reason: String) {
            self.row = row
            self.reason = reason
        }
    }

    package init(
        accepted: Int, repeated: Bool = false, rejected: [RejectedRow] = [], retry: [Int] = [], shards: [String] = []
    ) {
        self.accepted = accepted
        self.repeated = repeated
        self.rejected = rejected
        self.retry = retry
        self.shards = shards
    }

    package var body: [UInt8] {
        var out = ByteWriter()
        out.varint(UInt64(accepted))
        out.integer(UInt8(repeated ? 1 : 0))
        out.varint(UInt64(rejected.count))
        // The reasons must fit into one frame, even if every row of the largest batch is rejected.
        let reasonMax = min(ProtocolError.textMax, Self.reasonBytesMax / max(1, rejected.count))
        for row in rejected {
            out.varint(UInt64(row.row))
            out.string(ProtocolError.cut(row.reason, to: reasonMax))
        }
        out.varint(UInt64(retry.count))
        for row in retry { out.varint(UInt64(row)) }
        out.varint(UInt64(min(shards.count, Limits.shards)))
        for shard in shards.prefix(Limits.shards) { out.string(ProtocolError.cut(shard)) }
        return out.bytes
    }

    private static let reasonBytesMax = 12 << 20

    package init(body: [UInt8]) throws(ByteError) {
        var reader = ByteReader(body)
        accepted = try reader.count(limit: Limits.rowsPerBatch, "accepted")
        let flag: UInt8 = try reader.integer("repeated")
        repeated = flag != 0
        rejected = []
        for _ in 0..<(try reader.count(limit: Limits.rowsPerBatch, "rejected")) {
            let row = try reader.count(limit: Limits.rowsPerBatch, "row")
            rejected.append(.init(row: row, reason: try reader.string(limit: ProtocolError.textMax, "reason").string))
        }
        retry = []
        for _ in 0..<(try reader.count(limit: Limits.rowsPerBatch, "retry")) {
            retry.append(try reader.count(limit: Limits.rowsPerBatch, "row"))
        }
        shards = []
        for _ in 0..<(try reader.count(limit: Limits.shards, "shards")) {
            shards.append(try reader.string(limit: ProtocolError.textMax, "shard").string)
        }
        try reader.finish("append result")
    }
}
