import Codec
import FunnelModel

/// An append of ingest to a shard: the rows of a slice of a request in the shard's buckets. `PROTOCOL.md` section 5.
package struct ShardAppend: Equatable, Sendable {
    package var producer: UInt64
    package var sequence: UInt64
    /// The client's part in the low 16 bits, above them the number of the slice of the request.
    package var part: UInt32
    /// Whether ingest has numbered the request itself, and repeats it within seconds or not at all.
    package var isShort: Bool
    /// Whether new event names and property keys are exempt from the rate limit.
    package var isNameRateFree: Bool
    /// CRC-32C of the client's request; 0 if ingest has numbered the request.
    package var fingerprint: UInt32
    /// All rows of the slice in these buckets are in `batch` or in `refused`.
    package var buckets: BucketSet
    /// The rows' numbers in the request; nil: 0, 1, 2, …
    package var numbers: RowNumbers?
    /// Rows that ingest has refused, because their time is too far ahead of its clock.
    package var refused: [RefusedRow]
    package var batch: EventBatch

    /// A row by its number in the request, and its user's bucket.
    package struct RefusedRow: Equatable, Sendable {
        package var row: Int
        package var bucket: Int

        package init(row: Int, bucket: Int) {
            self.row = row
            self.bucket = bucket
        }
    }

    package init(
        producer: UInt64, sequence: UInt64, part: UInt32, isShort: Bool = false, isNameRateFree: Bool = false, fingerprint: UInt32,
        buckets: BucketSet, numbers: RowNumbers? = nil, refused: [RefusedRow] = [], batch: EventBatch
    ) {
        self.producer = producer
        self.sequence = sequence
        self.part = part
        self.isShort = isShort
        self.isNameRateFree = isNameRateFree
        self.fingerprint = fingerprint
        self.buckets = buckets
        self.numbers = numbers
        self.refused = refused
        self.batch = batch
    }

    package var body: [UInt8] {
        var out = ByteWriter(reserving: 64 + EventBatchCodec.estimate(batch))
        out.integer(producer)
        out.integer(sequence)
        out.integer(part)
        out.integer((isShort ? 1 : 0) | (isNameRateFree ? 2 : 0) as UInt8)
        out.integer(fingerprint)
        buckets.encode(&out)
        (numbers ?? RowNumbers()).encode(&out)
        out.varint(UInt64(refused.count))
        for row in refused {
            out.varint(UInt64(row.row))
            out.varint(UInt64(row.bucket))
        }
        EventBatchCodec.encode(batch, &out)
        return out.bytes
    }

    package init(body: [UInt8]) throws(ByteError) {
        var reader = ByteReader(body)
        producer = try reader.integer("producer")
        sequence = try reader.integer("sequence")
        part = try reader.integer("part")
        let flags: UInt8 = try reader.integer("flags")
        guard flags <= 3 else { throw ByteError(offset: reader.offset, reason: "flags \(flags) are unknown") }
        (isShort, isNameRateFree) = (flags & 1 == 1, flags & 2 == 2)
        fingerprint = try reader.integer("fingerprint")
        buckets = try BucketSet(&reader)
        let numbers = try RowNumbers(&reader)
        self.numbers = numbers.count == 0 ? nil : numbers
        refused = []
        for _ in 0..<(try reader.count(limit: min(Limits.rowsPerBatch, reader.remaining), "refused rows")) {
            refused.append(
                RefusedRow(
                    row: try reader.count(limit: Limits.rowsPerBatch, "refused row"),
                    bucket: try reader.count(limit: Limits.buckets - 1, "bucket of a refused row")))
        }
        batch = try EventBatchCodec.decode(body, range: reader.offset..<body.count, bounds: .wire)
        guard numbers.count == 0 || numbers.count == batch.count else {
            throw ByteError(offset: reader.offset, reason: "\(numbers.count) row numbers for \(batch.count) rows")
        }
    }
}
