import FunnelModel

/// The bytes of an `EventBatch`: a count of rows and six sections, each with its own length, checksum and, where it
/// helps, LZ4. A reader may skip sections it has no use for. Layout: `Protocol/PROTOCOL.md`, "Batch".
package enum EventBatchCodec {
    package struct Sections: OptionSet, Sendable {
        package let rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }
        package static let ids = Sections(rawValue: 1)
        package static let properties = Sections(rawValue: 2)
        package static let all: Sections = [.ids, .properties]
    }

    /// Limits that a decoder holds a batch to. Those of a stored block are wider, since it was checked on its way in.
    package struct Bounds: Sendable {
        package var rows: Int
        package var sectionBytes: Int
        /// Sections may be LZ4 blocks of their own. Not on the wire, where the frame already is one: two layers would let
        /// a small frame take a thousand times its size.
        package var compressed: Bool
        package static let wire = Bounds(rows: Limits.rowsPerBatch, sectionBytes: Limits.frameBytes, compressed: false)
        package static let stored = Bounds(rows: Limits.rowsPerBatch, sectionBytes: Limits.frameBytes, compressed: true)
    }

    static let version: UInt8 = 1

    private enum Kind: UInt8, CaseIterable {
        case users = 1, names, rows, ids, keys, properties

        var label: String { "batch section \(self)" }
    }

    /// - Parameter compressed: try LZ4 on each section (for storage; on the wire the frame is compressed as a whole).
    package static func encode(_ batch: EventBatch, compressed: Bool) -> [UInt8] {
        var out = ByteWriter(reserving: 64 + batch.count * 16)
        out.integer(version)
        out.varint(UInt64(batch.count))
        for kind in Kind.allCases {
            let raw = section(kind, of: batch)
            let packed = compressed ? LZ4Block.compress(raw) : nil
            let body = packed ?? raw
            out.integer(kind.rawValue)
            out.integer(UInt8(packed == nil ? 0 : 1))
            out.integer(UInt32(raw.count))
            out.integer(UInt32(body.count))
            out.integer(CRC32C.checksum(body))
            out.append(body)
        }
        return out.bytes
    }

    package static func decode(
        _ bytes: [UInt8], range: Range<Int>? = nil, sections: Sections = .all, bounds: Bounds = .stored
    ) throws(ByteError) -> EventBatch {
        var reader = ByteReader(bytes, range: range ?? 0..<bytes.count)
        let version: UInt8 = try reader.integer("batch version")
        guard version == Self.version else { throw ByteError(offset: 0, reason: "batch version \(version) is unknown") }
        let rows = try reader.count(limit: bounds.rows, "batch rows")
        var batch = EventBatch()
        for kind in Kind.allCases {
            let wanted = kind == .ids ? sections.contains(.ids) : (kind == .keys || kind == .properties ? sections.contains(.properties) : true)
            guard let body = try sectionBody(kind, &reader, wanted: wanted, bounds: bounds) else { continue }
            var inner = ByteReader(body)
            // A property takes three bytes or more, and a table holds no string that none of them uses.
            let strings = bounds.compressed ? rows * Limits.propertiesPerEvent : reader.remaining / 3
            try decode(kind, &inner, rows: rows, strings: strings, into: &batch)
            try inner.finish(kind.label)
        }
        try reader.finish("batch")
        guard bounds.compressed || max(batch.keys.count, batch.strings.count) <= batch.propertyKey.count else {
            throw ByteError(offset: 0, reason: "batch tables hold more strings than there are properties")
        }
        return batch
    }

    private static func sectionBody(
        _ kind: Kind, _ reader: inout ByteReader, wanted: Bool, bounds: Bounds
    ) throws(ByteError) -> [UInt8]? {
        let start = reader.offset
        let found: UInt8 = try reader.integer(kind.label)
        guard found == kind.rawValue else { throw ByteError(offset: start, reason: "\(kind.label): found \(found) instead") }
        let encoding: UInt8 = try reader.integer(kind.label)
        let size: UInt32 = try reader.integer(kind.label)
        let length: UInt32 = try reader.integer(kind.label)
        let sum: UInt32 = try reader.integer(kind.label)
        guard Int(size) <= bounds.sectionBytes, Int(length) <= bounds.sectionBytes else {
            throw ByteError(offset: start, reason: "\(kind.label): over the limit of \(bounds.sectionBytes) bytes")
        }
        let range = try reader.take(Int(length), kind.label)
        guard wanted else { return nil }
        guard CRC32C.checksum(reader.bytes, range: range) == sum else {
            throw ByteError(offset: start, reason: "\(kind.label): checksum does not match")
        }
        switch encoding {
        case 0:
            guard size == length else { throw ByteError(offset: start, reason: "\(kind.label): lengths differ") }
            return Array(reader.bytes[range])
        case 1 where bounds.compressed: return try LZ4Block.decompress(reader.bytes, range: range, size: Int(size))
        default: throw ByteError(offset: start, reason: "\(kind.label): encoding \(encoding) is unknown")
        }
    }

    private static func section(_ kind: Kind, of batch: EventBatch) -> [UInt8] {
        var out = ByteWriter(reserving: batch.count * 8)
        switch kind {
        case .users: writeTable(batch.users, &out)
        case .names: writeTable(batch.names, &out)
        case .rows:
            writeCodes(batch.user, bound: batch.users.count, &out)
            writeCodes(batch.name, bound: batch.names.count, &out)
            var previous: Int64 = 0
            for time in batch.time {
                out.zigzag(time &- previous)
                previous = time
            }
            out.append(batch.flags)
        case .ids: writeTable(batch.ids, &out)
        case .keys:
            writeTable(batch.keys, &out)
            writeTable(batch.strings, &out)
        case .properties: writeProperties(batch, &out)
        }
        return out.bytes
    }

    private static func decode(
        _ kind: Kind, _ reader: inout ByteReader, rows: Int, strings: Int, into batch: inout EventBatch
    ) throws(ByteError) {
        switch kind {
        case .users: batch.users = try readTable(&reader, limit: rows, each: Limits.userIDBytes, "users")
        case .names: batch.names = try readTable(&reader, limit: rows, each: Limits.eventNameBytes, "names")
        case .rows:
            batch.user = try readCodes(&reader, count: rows, bound: batch.users.count, "user codes")
            batch.name = try readCodes(&reader, count: rows, bound: batch.names.count, "name codes")
            batch.time.reserveCapacity(rows)
            var previous: Int64 = 0
            for _ in 0..<rows {
                previous = previous &+ (try reader.zigzag("times"))
                guard Limits.storableTimes.contains(previous) else {
                    throw ByteError(offset: reader.offset, reason: "time \(previous) is out of range")
                }
                batch.time.append(previous)
            }
            let flags = try reader.take(rows, "flags")
            batch.flags = Array(reader.bytes[flags])
            if let bad = batch.flags.first(where: { $0 > EventBatch.serverTimedFlag }) {
                throw ByteError(offset: flags.lowerBound, reason: "row flags \(bad) are unknown")
            }
        case .ids:
            batch.ids = try readTable(&reader, limit: rows, each: Limits.eventIDBytes, "event ids")
            guard batch.ids.count == rows else { throw ByteError(offset: 0, reason: "event ids: \(batch.ids.count) for \(rows) rows") }
        case .keys:
            let most = min(strings, rows * Limits.propertiesPerEvent)
            batch.keys = try readTable(&reader, limit: most, each: Limits.propertyKeyBytes, "property keys")
            batch.strings = try readTable(&reader, limit: most, each: Limits.propertyValueBytes, "property strings")
        case .properties: try readProperties(&reader, rows: rows, into: &batch)
        }
    }
}

extension EventBatchCodec {
    /// count, then each length as a varint, then all bytes.
    private static func writeTable(_ table: StringTable, _ out: inout ByteWriter) {
        out.varint(UInt64(table.count))
        for i in 0..<table.count { out.varint(UInt64(table.range(i).count)) }
        out.append(table.heap)
    }

    private static func readTable(
        _ reader: inout ByteReader, limit: Int, each: Int, _ what: String
    ) throws(ByteError) -> StringTable {
        let count = try reader.count(limit: limit, what)
        // Each string takes at least its length byte, so a lie about the count is found before memory is taken.
        guard count <= reader.remaining else { throw ByteError(offset: reader.offset, reason: "\(what): cut short") }
        var offsets: [UInt32] = [0]
        offsets.reserveCapacity(count + 1)
        var total = 0
        for _ in 0..<count {
            total += try reader.count(limit: each, what)
            offsets.append(UInt32(truncatingIfNeeded: total))
        }
        guard total <= Int(UInt32.max) else { throw ByteError(offset: reader.offset, reason: "\(what): too many bytes") }
        let range = try reader.take(total, what)
        guard let table = StringTable(heap: Array(reader.bytes[range]), offsets: offsets) else {
            throw ByteError(offset: range.lowerBound, reason: "\(what): lengths don't add up")
        }
        return table
    }

    /// Codes below `bound`, in 1, 2 or 4 bytes each, by the bound alone.
    private static func writeCodes(_ codes: [UInt32], bound: Int, _ out: inout ByteWriter) {
        switch bound {
        case ...256: for code in codes { out.integer(UInt8(truncatingIfNeeded: code)) }
        case ...65_536: for code in codes { out.integer(UInt16(truncatingIfNeeded: code)) }
        default: for code in codes { out.integer(code) }
        }
    }

    private static func readCodes(
        _ reader: inout ByteReader, count: Int, bound: Int, _ what: String
    ) throws(ByteError) -> [UInt32] {
        let width = bound <= 256 ? 1 : (bound <= 65_536 ? 2 : 4)
        let range = try reader.take(count * width, what)
        let bytes = reader.bytes
        var codes: [UInt32] = []
        codes.reserveCapacity(count)
        var at = range.lowerBound
        var largest: UInt32 = 0
        while at < range.upperBound {
            var code = UInt32(bytes[at])
            if width >= 2 { code |= UInt32(bytes[at + 1]) << 8 }
            if width == 4 { code |= UInt32(bytes[at + 2]) << 16 | UInt32(bytes[at + 3]) << 24 }
            largest = max(largest, code)
            codes.append(code)
            at += width
        }
        guard count == 0 || Int(largest) < bound else {
            throw ByteError(offset: range.lowerBound, reason: "\(what): code \(largest) of \(bound)")
        }
        return codes
    }

    private static func writeProperties(_ batch: EventBatch, _ out: inout ByteWriter) {
        for row in 0..<batch.count { out.varint(UInt64(batch.propertyStart[row + 1] - batch.propertyStart[row])) }
        for p in batch.propertyKey.indices {
            out.varint(UInt64(batch.propertyKey[p]))
            out.integer(batch.propertyTag[p])
            let bits = batch.propertyBits[p]
            switch batch.propertyTag[p] {
            case EventBatch.Tag.integer: out.zigzag(Int64(bitPattern: bits))
            case EventBatch.Tag.double: out.integer(bits)
            default: out.varint(bits)
            }
        }
    }

    private static func readProperties(
        _ reader: inout ByteReader, rows: Int, into batch: inout EventBatch
    ) throws(ByteError) {
        var total = 0
        var start: [UInt32] = [0]
        start.reserveCapacity(rows + 1)
        for _ in 0..<rows {
            total += try reader.count(limit: Limits.propertiesPerEvent, "properties of a row")
            start.append(UInt32(truncatingIfNeeded: total))
        }
        // A property takes three bytes or more.
        guard total * 3 <= reader.remaining else { throw ByteError(offset: reader.offset, reason: "properties: cut short") }
        batch.propertyStart = start
        batch.propertyKey.reserveCapacity(total)
        batch.propertyTag.reserveCapacity(total)
        batch.propertyBits.reserveCapacity(total)
        for _ in 0..<total {
            let key = try reader.count(limit: max(0, batch.keys.count - 1), "property key code")
            guard key < batch.keys.count else { throw ByteError(offset: reader.offset, reason: "property key code \(key) of 0") }
            let tag: UInt8 = try reader.integer("property tag")
            batch.propertyKey.append(UInt32(key))
            batch.propertyTag.append(tag)
            batch.propertyBits.append(try readBits(tag, &reader, strings: batch.strings.count))
        }
    }

    private static func readBits(_ tag: UInt8, _ reader: inout ByteReader, strings: Int) throws(ByteError) -> UInt64 {
        switch tag {
        case EventBatch.Tag.string:
            let code = try reader.varint("string code")
            guard code < UInt64(strings) else {
                throw ByteError(offset: reader.offset, reason: "string code \(code) of \(strings)")
            }
            return code
        case EventBatch.Tag.integer: return UInt64(bitPattern: try reader.zigzag("integer property"))
        case EventBatch.Tag.double:
            let bits: UInt64 = try reader.integer("double property")
            // There is no order of NaN, and JSON has no text for the infinities: neither may get into storage.
            guard Double(bitPattern: bits).isFinite else {
                throw ByteError(offset: reader.offset, reason: "double property is not a finite number")
            }
            return bits
        case EventBatch.Tag.bool:
            let flag = try reader.varint("boolean property")
            guard flag <= 1 else { throw ByteError(offset: reader.offset, reason: "boolean property is \(flag)") }
            return flag
        default: throw ByteError(offset: reader.offset, reason: "property tag \(tag) is unknown")
        }
    }
}
