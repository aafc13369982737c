import FunnelModel

/// The bytes of an `EventBatch`: a count of rows and six sections, each with its own length, checksum and, if it helps, LZ4.
/// A reader may skip sections that it does not need. Layout: `Protocol/PROTOCOL.md`, "Batch".
package enum EventBatchCodec {
    /// Optional sections to decode; the others are always decoded.
    package struct Sections: OptionSet, Sendable {
        package let rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }
        package static let ids = Sections(rawValue: 1)
        package static let properties = Sections(rawValue: 2)
        package static let all: Sections = [.ids, .properties]
    }

    /// Limits of a batch that a decoder accepts. Those of a stored batch are wider, since it was checked when it came in.
    package struct Bounds: Sendable {
        package var rows: Int
        package var sectionBytes: Int
        /// Whether sections may be LZ4 blocks. Not on the wire, where the frame is one already: two layers would let a small
        /// frame decode to thousands of times its size.
        package var compressed: Bool
        package static let wire = Bounds(rows: Limits.rowsPerBatch, sectionBytes: Limits.frameBytes, compressed: false)
        package static let stored = Bounds(rows: Limits.rowsPerBatch, sectionBytes: Limits.frameBytes, compressed: true)
    }

    static let version: UInt8 = 1

    enum Kind: UInt8, CaseIterable {
        case users = 1
        case names
        case rows
        case ids
        case keys
        case properties

        var label: String { "batch section \(self)" }
    }

    /// Encodes a batch.
    /// - Parameter compressed: try LZ4 on each section (for storage; on the wire the frame is compressed as a whole).
    package static func encode(_ batch: EventBatch, compressed: Bool) -> [UInt8] {
        var out = ByteWriter(reserving: estimate(batch))
        if compressed { encodeCompressed(batch, &out, LZ4Block.State()) } else { encode(batch, &out) }
        return out.bytes
    }

    /// Appends a batch, uncompressed.
    package static func encode(_ batch: EventBatch, _ out: inout ByteWriter) {
        out.integer(version)
        out.varint(UInt64(batch.count))
        for kind in Kind.allCases {
            let header = writeHeader(kind, packed: false, &out)
            let start = out.count
            write(kind, of: batch, &out)
            seal(header, raw: out.count - start, &out)
        }
    }

    /// Appends a batch, with LZ4 where it helps.
    /// - Parameters:
    ///   - acceleration: of LZ4; 1 compresses best.
    ///   - state: reusable by a worker that encodes many batches.
    package static func encodeCompressed(
        _ batch: EventBatch, _ out: inout ByteWriter, _ state: borrowing LZ4Block.State, acceleration: Int = 1
    ) {
        out.integer(version)
        out.varint(UInt64(batch.count))
        var raw = ByteWriter()
        for kind in Kind.allCases {
            raw.removeAll()
            write(kind, of: batch, &raw)
            let packed = LZ4Block.compress(raw.bytes, acceleration: acceleration, state: state)
            let header = writeHeader(kind, packed: packed != nil, &out)
            out.append(packed ?? raw.bytes)
            seal(header, raw: raw.count, &out)
        }
    }

    /// Kind, encoding, size, length and checksum.
    private static let headerBytes = 14

    /// Appends a section header, whose lengths and checksum `seal` fills in.
    /// - Returns: the offset of the header.
    private static func writeHeader(_ kind: Kind, packed: Bool, _ out: inout ByteWriter) -> Int {
        let at = out.count
        out.integer(kind.rawValue)
        out.integer(UInt8(packed ? 1 : 0))
        out.integer(UInt64(0))
        out.integer(UInt32(0))
        return at
    }

    /// Fills in the header of the section that ends where `out` does.
    private static func seal(_ header: Int, raw: Int, _ out: inout ByteWriter) {
        let body = (header + headerBytes)..<out.count
        out.patch(UInt32(truncatingIfNeeded: raw), at: header + 2)
        out.patch(UInt32(truncatingIfNeeded: body.count), at: header + 6)
        out.patch(CRC32C.checksum(out.bytes, range: body), at: header + 10)
    }

    /// Decodes a batch. Offsets of errors count from the start of `bytes`, or, in a compressed section, from the start of its
    /// decoded content.
    package static func decode(
        _ bytes: [UInt8], range: Range<Int>? = nil, sections: Sections = .all, bounds: Bounds = .stored
    ) throws(ByteError) -> EventBatch {
        var reader = ByteReader(bytes, range: range ?? 0..<bytes.count)
        let version: UInt8 = try reader.integer("batch version")
        guard version == Self.version else { throw ByteError(offset: 0, reason: "batch version \(version) is unknown") }
        let rows = try reader.count(limit: bounds.rows, "batch rows")
        var batch = EventBatch()
        for kind in Kind.allCases {
            guard var inner = try section(kind, &reader, wanted: wants(kind, sections), bounds: bounds) else { continue }
            // A property takes three bytes or more, and a table holds no string that none of them uses.
            let strings = bounds.compressed ? rows * Limits.propertiesPerEvent : reader.remaining / 3
            try read(kind, &inner, rows: rows, strings: strings, into: &batch)
            if inner.remaining > 0 { try inner.finish(kind.label) }
        }
        try reader.finish("batch")
        guard bounds.compressed || max(batch.keys.count, batch.strings.count) <= batch.propertyKey.count else {
            throw ByteError(offset: 0, reason: "batch tables hold more strings than there are properties")
        }
        return batch
    }

    private static func wants(_ kind: Kind, _ sections: Sections) -> Bool {
        switch kind {
        case .users, .names, .rows: true
        case .ids: sections.contains(.ids)
        case .keys, .properties: sections.contains(.properties)
        }
    }

    /// A reader of the section's content; nil if it is not wanted.
    private static func section(
        _ kind: Kind, _ reader: inout ByteReader, wanted: Bool, bounds: Bounds
    ) throws(ByteError) -> ByteReader? {
        let start = reader.offset
        let label = kind.label
        let found: UInt8 = try reader.integer(label)
        guard found == kind.rawValue else { throw ByteError(offset: start, reason: "\(label): found \(found) instead") }
        let encoding: UInt8 = try reader.integer(label)
        let size: UInt32 = try reader.integer(label)
        let length: UInt32 = try reader.integer(label)
        let sum: UInt32 = try reader.integer(label)
        guard Int(size) <= bounds.sectionBytes, Int(length) <= bounds.sectionBytes else {
            throw ByteError(offset: start, reason: "\(label): over the limit of \(bounds.sectionBytes) bytes")
        }
        let range = try reader.take(Int(length), label)
        guard wanted else { return nil }
        guard CRC32C.checksum(reader.bytes, range: range) == sum else {
            throw ByteError(offset: start, reason: "\(label): checksum does not match")
        }
        switch encoding {
        case 0:
            guard size == length else { throw ByteError(offset: start, reason: "\(label): lengths differ") }
            return ByteReader(reader.bytes, range: range)
        case 1 where bounds.compressed: return ByteReader(try LZ4Block.decompress(reader.bytes, range: range, size: Int(size)))
        default: throw ByteError(offset: start, reason: "\(label): encoding \(encoding) is unknown")
        }
    }
}
