import FunnelCodec
import FunnelModel

/// Where a block of a segment lies and what it may hold, so that readers can pass over it.
struct BlockEntry: Equatable, Sendable {
    var offset = 0
    var batchBytes = 0
    var sequenceBytes = 0
    /// CRC-32C of all the block's bytes.
    var checksum: UInt32 = 0
    var rows = 0
    /// Rows of a user tie in time and name, or have a server's time: order and identity turn on ids.
    var needsIDs = false
    var firstUser: ByteString = ""
    var lastUser: ByteString = ""
    var minTime: Int64 = 0
    var maxTime: Int64 = 0
    /// Codes in the segment's name table, ascending.
    var names: [UInt32] = []
}

/// The end of a segment: its blocks and its dictionaries.
struct SegmentFooter: Equatable, Sendable {
    var blocks: [BlockEntry] = []
    var names = StringTable()
    /// Property keys; only their count against the project's limit needs them.
    var keys = StringTable()

    var rows: Int { blocks.reduce(0) { $0 + $1.rows } }
    var newestTime: Int64? { blocks.map(\.maxTime).max() }

    func encode() -> [UInt8] {
        var out = ByteWriter()
        for table in [names, keys] {
            out.varint(UInt64(table.count))
            for i in 0..<table.count { out.string(table[i]) }
        }
        out.varint(UInt64(blocks.count))
        for block in blocks {
            out.varint(UInt64(block.offset))
            out.varint(UInt64(block.batchBytes))
            out.varint(UInt64(block.sequenceBytes))
            out.integer(block.checksum)
            out.varint(UInt64(block.rows))
            out.integer(UInt8(block.needsIDs ? 1 : 0))
            out.string(block.firstUser)
            out.string(block.lastUser)
            out.zigzag(block.minTime)
            out.zigzag(block.maxTime)
            out.varint(UInt64(block.names.count))
            for name in block.names { out.varint(UInt64(name)) }
        }
        return out.bytes
    }

    /// - Parameter end: the offset of the footer, where the blocks must end.
    static func decode(_ bytes: [UInt8], end: Int) throws(ByteError) -> SegmentFooter {
        var reader = ByteReader(bytes)
        var footer = SegmentFooter()
        footer.names = try table(&reader, each: Limits.eventNameBytes, "event names")
        footer.keys = try table(&reader, each: Limits.propertyKeyBytes, "property keys")
        let count = try reader.count(limit: bytes.count, "blocks")
        var offset = StorageFormat.segmentHeaderBytes
        for _ in 0..<count {
            let block = try entry(&reader, end: end, names: footer.names.count)
            guard block.offset == offset else {
                throw ByteError(offset: reader.offset, reason: "block at \(block.offset), not \(offset)")
            }
            offset += block.batchBytes + block.sequenceBytes
            footer.blocks.append(block)
        }
        guard offset == end else {
            throw ByteError(offset: reader.offset, reason: "blocks end at \(offset), not \(end)")
        }
        try reader.finish("footer")
        return footer
    }

    private static func entry(_ reader: inout ByteReader, end: Int, names: Int) throws(ByteError) -> BlockEntry {
        var block = BlockEntry()
        block.offset = try reader.count(limit: end, "block offset")
        block.batchBytes = try reader.count(limit: end - block.offset, "block bytes")
        block.sequenceBytes = try reader.count(limit: end - block.offset - block.batchBytes, "sequence bytes")
        block.checksum = try reader.integer("block checksum")
        block.rows = try reader.count(limit: StorageFormat.blockRows, "block rows")
        let flags: UInt8 = try reader.integer("block flags")
        guard flags <= 1, block.rows > 0 else {
            throw ByteError(offset: reader.offset, reason: "block of \(block.rows) rows with flags \(flags)")
        }
        block.needsIDs = flags == 1
        block.firstUser = try reader.string(limit: Limits.userIDBytes, "first user")
        block.lastUser = try reader.string(limit: Limits.userIDBytes, "last user")
        block.minTime = try reader.zigzag("least time")
        block.maxTime = try reader.zigzag("greatest time")
        let count = try reader.count(limit: names, "names of a block")
        for _ in 0..<count { block.names.append(UInt32(try reader.count(limit: max(0, names - 1), "name code"))) }
        return block
    }

    private static func table(_ reader: inout ByteReader, each: Int, _ what: String) throws(ByteError) -> StringTable {
        let count = try reader.count(limit: reader.remaining, what)
        var table = StringTable()
        for _ in 0..<count { table.append(try reader.string(limit: each, what)) }
        return table
    }
}

/// The durability sequences of a block: one byte telling the encoding, the raw size, then zigzag deltas.
enum SequenceColumn {
    static func encode(_ sequence: [UInt64]) -> [UInt8] {
        var raw = ByteWriter(reserving: sequence.count * 3)
        var previous: UInt64 = 0
        for value in sequence {
            raw.zigzag(Int64(bitPattern: value &- previous))
            previous = value
        }
        let packed = LZ4Block.compress(raw.bytes)
        var out = ByteWriter(reserving: raw.count + 5)
        out.integer(UInt8(packed == nil ? 0 : 1))
        out.integer(UInt32(raw.count))
        out.append(packed ?? raw.bytes)
        return out.bytes
    }

    static func decode(_ bytes: [UInt8], range: Range<Int>, rows: Int) throws(ByteError) -> [UInt64] {
        var reader = ByteReader(bytes, range: range)
        let encoding: UInt8 = try reader.integer("sequence encoding")
        let size: UInt32 = try reader.integer("sequence size")
        guard encoding <= 1, Int(size) <= rows * 10 else {
            throw ByteError(offset: range.lowerBound, reason: "sequences: encoding \(encoding), \(size) bytes")
        }
        let body = reader.offset..<range.upperBound
        let raw = encoding == 1
            ? try LZ4Block.decompress(bytes, range: body, size: Int(size)) : Array(bytes[body])
        var values = ByteReader(raw)
        var sequence: [UInt64] = []
        sequence.reserveCapacity(rows)
        var previous: UInt64 = 0
        for _ in 0..<rows {
            previous = previous &+ UInt64(bitPattern: try values.zigzag("sequences"))
            sequence.append(previous)
        }
        try values.finish("sequences")
        return sequence
    }
}
