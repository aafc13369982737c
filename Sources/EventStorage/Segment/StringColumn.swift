import Codec
import FunnelModel

/// Strings of a column page: each value's index in a dictionary or, if most values differ, the strings one after the other.
enum StringColumn {
    private enum Heap: UInt8 { case plain, lz4, hex, uuid }

    static func encode(_ values: [Int], _ table: StringTable, into out: inout [UInt8]) {
        var dictionary = PageDictionary(values)
        let codes = values.map { dictionary.code(table, $0) }
        let isDistinct = dictionary.places.count * 4 > values.count * 3
        let places = isDistinct ? values : dictionary.places
        var writer = ByteWriter()
        writer.integer(UInt8(isDistinct ? 1 : 0))
        writer.integer(UInt32(truncatingIfNeeded: places.count))
        out.append(contentsOf: writer.bytes)
        encodeStrings(places, table, into: &out)
        if !isDistinct { IntegerColumn.encode(codes, into: &out) }
    }

    private static func encodeStrings(_ places: [Int], _ table: StringTable, into out: inout [UInt8]) {
        IntegerColumn.encode(places.map { UInt32(truncatingIfNeeded: table.range($0).count) }, into: &out)
        var heap: [UInt8] = []
        for place in places { heap.append(contentsOf: table.slice(place)) }
        var form = Heap.plain
        var stored = heap
        if let packed = HexStrings.packUUIDs(places, table) {
            form = .uuid
            stored = packed
        } else if let packed = HexStrings.pack(heap, lengths: places.lazy.map { table.range($0).count }) {
            form = .hex
            stored = packed
        } else if let packed = LZ4Block.compress(heap) {
            form = .lz4
            stored = packed
        }
        var writer = ByteWriter()
        writer.integer(form.rawValue)
        writer.integer(UInt32(truncatingIfNeeded: heap.count))
        writer.integer(UInt32(truncatingIfNeeded: stored.count))
        writer.append(stored)
        out.append(contentsOf: writer.bytes)
    }

    /// Reads strings as they are stored.
    /// - Returns: the strings, and each value's index among them; nil if there is one string per value, in order.
    static func read(
        _ reader: inout ByteReader, count: Int
    ) throws(ByteError) -> (strings: StringTable, codes: IntegerColumn.Values?) {
        let isDistinct: UInt8 = try reader.integer("strings")
        let distinct: UInt32 = try reader.integer("strings")
        guard isDistinct <= 1, distinct <= count, isDistinct == 0 || distinct == count else {
            throw ByteError(offset: reader.offset, reason: "\(distinct) strings for \(count) values")
        }
        let strings = try decodeStrings(&reader, Int(distinct))
        if isDistinct == 1 { return (strings, nil) }
        let codes = try IntegerColumn.read(&reader, count: count, "string codes")
        guard count == 0 || codes.areBelow(distinct) else {
            throw ByteError(offset: reader.offset, reason: "a string code is out of range")
        }
        return (strings, codes)
    }

    /// Reads strings and each value's index among them.
    static func decode(_ reader: inout ByteReader, count: Int, _ strings: inout StringTable) throws(ByteError) -> [UInt64] {
        let read = try read(&reader, count: count)
        strings = read.strings
        guard let codes = read.codes else { return (0..<UInt64(count)).map { $0 } }
        return IntegerColumn.expand(codes, count: count).map { UInt64($0) }
    }

    private static func decodeStrings(_ reader: inout ByteReader, _ count: Int) throws(ByteError) -> StringTable {
        let lengths = try IntegerColumn.decode(&reader, count: count, "string lengths")
        let form: UInt8 = try reader.integer("string heap")
        let size: UInt32 = try reader.integer("string heap")
        let length: UInt32 = try reader.integer("string heap")
        let range = try reader.take(Int(length), "string heap")
        guard Int(size) <= KeyPage.rows * Limits.propertyValueBytes, lengths.reduce(0, { $0 + Int($1) }) == Int(size) else {
            throw ByteError(offset: range.lowerBound, reason: "string heap of \(size) bytes")
        }
        let heap: [UInt8]
        switch Heap(rawValue: form) {
        case .plain: heap = Array(reader.bytes[range])
        case .lz4: heap = try LZ4Block.decompress(reader.bytes, range: range, size: Int(size))
        case .hex: heap = HexStrings.unpack(reader.bytes[range])
        case .uuid: heap = HexStrings.unpackUUIDs(reader.bytes[range])
        case nil: throw ByteError(offset: range.lowerBound, reason: "string heap form \(form) is unknown")
        }
        guard heap.count == Int(size) else {
            throw ByteError(offset: range.lowerBound, reason: "string heap of \(heap.count) bytes, not \(size)")
        }
        var offsets: [UInt32] = [0]
        offsets.reserveCapacity(count + 1)
        // The last one is the heap's size, as was checked.
        for length in lengths { offsets.append(offsets[offsets.count - 1] + length) }
        guard let strings = StringTable(heap: heap, offsets: offsets) else {
            throw ByteError(offset: range.lowerBound, reason: "string heap of \(size) bytes")
        }
        return strings
    }
}
