import FunnelCodec
import FunnelModel

/// Values of one column for some rows, as `EventBatch` holds them: a tag, and bits that for a string are an index.
package struct ColumnValues: Sendable {
    /// Rows that have a value, ascending.
    package var rows: [UInt32] = []
    package var tags: [UInt8] = []
    package var bits: [UInt64] = []
    package var strings = StringTable()

    package init() {}

    package mutating func append(row: UInt32, tag: UInt8, bits value: UInt64) {
        rows.append(row)
        tags.append(tag)
        bits.append(value)
    }

    package mutating func append(row: UInt32, string: ArraySlice<UInt8>) {
        append(row: row, tag: EventBatch.Tag.string, bits: UInt64(strings.count))
        strings.append(string)
    }

    package func value(_ i: Int) -> PropertyValue {
        switch tags[i] {
        case EventBatch.Tag.string: .string(strings[Int(bits[i])])
        case EventBatch.Tag.integer: .integer(Int64(bitPattern: bits[i]))
        case EventBatch.Tag.double: .double(Double(bitPattern: bits[i]))
        default: .bool(bits[i] != 0)
        }
    }
}

/// One column's values for the rows of one key page. Layout: `Protocol/SEGMENT.md`, "Column page".
package enum ColumnPage {
    static let allRows: UInt8 = 0
    private static let someRows: UInt8 = 1

    /// - Parameter range: the values of `values` that belong to the page whose first row is `firstRow`.
    package static func encode(_ values: ColumnValues, _ range: Range<Int>, firstRow: UInt32, pageRows: Int) -> [UInt8] {
        var out: [UInt8] = []
        if range.count == pageRows {
            out.append(allRows)
        } else {
            out.append(someRows)
            var bitmap = [UInt8](repeating: 0, count: (pageRows + 7) / 8)
            for i in range {
                let row = Int(values.rows[i] - firstRow)
                bitmap[row >> 3] |= 1 << UInt8(row & 7)
            }
            out.append(contentsOf: bitmap)
        }
        var present: UInt8 = 0
        for i in range { present |= 1 << values.tags[i] }
        out.append(present)
        if present & (present - 1) != 0 { IntegerColumn.encode(range.map { UInt32(values.tags[$0]) }, into: &out) }
        for tag in [EventBatch.Tag.string, EventBatch.Tag.integer, EventBatch.Tag.double, EventBatch.Tag.bool]
        where present & (1 << tag) != 0 {
            let bits = present == 1 << tag ? Array(values.bits[range]) : range.filter { values.tags[$0] == tag }.map { values.bits[$0] }
            switch tag {
            case EventBatch.Tag.string: StringColumn.encode(bits.map { Int($0) }, values.strings, into: &out)
            case EventBatch.Tag.integer: NumberColumn.encode(bits.map { Int64(bitPattern: $0) }, into: &out)
            case EventBatch.Tag.double: NumberColumn.encode(doubles: bits.map { Double(bitPattern: $0) }, into: &out)
            default: IntegerColumn.encode(bits.map { UInt32($0) }, into: &out)
            }
        }
        return out
    }

    /// What stands before the values.
    struct Head {
        /// Bytes of the bitmap of rows; nil where all have a value.
        var bitmap: Range<Int>?
        /// Values.
        var count: Int
        /// Bit t is set where some value has tag t.
        var present: UInt8
        /// The tag of all values, or none where there are several.
        var tag: UInt8? { present & (present - 1) == 0 ? UInt8(present.trailingZeroBitCount) : nil }
    }

    static func head(_ reader: inout ByteReader, pageRows: Int) throws(ByteError) -> Head {
        let form: UInt8 = try reader.integer("column rows")
        var head = Head(bitmap: nil, count: pageRows, present: 0)
        if form != allRows {
            let bitmap = try reader.take((pageRows + 7) / 8, "column rows")
            head.count = reader.bytes[bitmap].reduce(0) { $0 + $1.nonzeroBitCount }
            let beyond = bitmap.count * 8 - pageRows
            if beyond > 0 { head.count -= (reader.bytes[bitmap.upperBound - 1] >> UInt8(8 - beyond)).nonzeroBitCount }
            head.bitmap = bitmap
        }
        head.present = try reader.integer("column tags")
        guard head.present & ~0b1_1110 == 0, head.present != 0 else {
            throw ByteError(offset: reader.offset, reason: "column tags \(head.present)")
        }
        return head
    }

    /// The tag of each value, where there are several.
    static func tags(_ reader: inout ByteReader, _ head: Head) throws(ByteError) -> [UInt8] {
        let tags = try IntegerColumn.decode(&reader, count: head.count, "column tags").map { UInt8(truncatingIfNeeded: $0) }
        guard tags.allSatisfy({ $0 <= 4 && head.present >> $0 & 1 == 1 }) else { throw ByteError(offset: reader.offset, reason: "column tags") }
        return tags
    }

    /// - Parameter pageRows: rows of the key page.
    /// - Returns: rows counted from the page's first.
    package static func decode(_ bytes: [UInt8], pageRows: Int) throws(ByteError) -> ColumnValues {
        var reader = ByteReader(bytes)
        var values = ColumnValues()
        let head = try head(&reader, pageRows: pageRows)
        if let bitmap = head.bitmap {
            values.rows.reserveCapacity(head.count)
            for row in 0..<pageRows where bytes[bitmap.lowerBound + row >> 3] >> UInt8(row & 7) & 1 == 1 { values.rows.append(UInt32(row)) }
        } else {
            values.rows = (0..<UInt32(pageRows)).map { $0 }
        }
        if let tag = head.tag {
            values.tags = [UInt8](repeating: tag, count: head.count)
            values.bits = try decode(tag: tag, count: head.count, &reader, &values.strings)
        } else {
            values.tags = try tags(&reader, head)
            try decodeMixed(&values, head.present, &reader)
        }
        try reader.finish("column page")
        return values
    }

    private static func decodeMixed(_ values: inout ColumnValues, _ present: UInt8, _ reader: inout ByteReader) throws(ByteError) {
        values.bits = [UInt64](repeating: 0, count: values.tags.count)
        for tag in UInt8(1)...4 where present >> tag & 1 == 1 {
            let places = values.tags.indices.filter { values.tags[$0] == tag }
            let bits = try decode(tag: tag, count: places.count, &reader, &values.strings)
            for (place, value) in zip(places, bits) { values.bits[place] = value }
        }
    }

    private static func decode(
        tag: UInt8, count: Int, _ reader: inout ByteReader, _ strings: inout StringTable
    ) throws(ByteError) -> [UInt64] {
        switch tag {
        case EventBatch.Tag.string: return try StringColumn.decode(&reader, count: count, &strings)
        case EventBatch.Tag.integer: return try NumberColumn.decode(&reader, count: count)
        case EventBatch.Tag.double: return try NumberColumn.decodeDoubles(&reader, count: count)
        default: return IntegerColumn.expand(try booleans(&reader, count: count), count: count).map { UInt64($0) }
        }
    }

    static func booleans(_ reader: inout ByteReader, count: Int) throws(ByteError) -> IntegerColumn.Values {
        let values = try IntegerColumn.read(&reader, count: count, "booleans")
        guard count == 0 || values.areBelow(2) else { throw ByteError(offset: reader.offset, reason: "a boolean over 1") }
        return values
    }
}

/// Integers above their least at 32 bits, or as they are; doubles as whole multiples of a power of ten, where that is
/// exact to the last bit (after A. Afroozeh et al., "ALP: Adaptive Lossless floating-Point Compression", 2023), or as they are.
enum NumberColumn {
    private enum Form: UInt8 { case above, plain }
    private static let powers: [Double] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000]

    static func encode(_ values: [Int64], into out: inout [UInt8]) {
        var writer = ByteWriter()
        let least = values.min() ?? 0
        if let most = values.max(), UInt64(bitPattern: most &- least) <= UInt64(UInt32.max) {
            writer.integer(Form.above.rawValue)
            writer.integer(least)
            out.append(contentsOf: writer.bytes)
            IntegerColumn.encode(values.map { UInt32(truncatingIfNeeded: $0 &- least) }, into: &out)
        } else {
            writer.integer(Form.plain.rawValue)
            for value in values { writer.integer(value) }
            out.append(contentsOf: writer.bytes)
        }
    }

    /// Numbers as they are stored.
    enum Values {
        /// To be added to the least, modulo 2^64.
        case above(Int64, IntegerColumn.Values)
        case plain([Int64])

        func expanded(count: Int) -> [Int64] {
            switch self {
            case .above(let least, let values): IntegerColumn.expand(values, count: count).map { least &+ Int64($0) }
            case .plain(let values): values
            }
        }
    }

    static func read(_ reader: inout ByteReader, count: Int) throws(ByteError) -> Values {
        let form: UInt8 = try reader.integer("integers")
        switch Form(rawValue: form) {
        case .above: return .above(try reader.integer("least integer"), try IntegerColumn.read(&reader, count: count, "integers"))
        case .plain:
            var values: [Int64] = []
            values.reserveCapacity(count)
            for _ in 0..<count { values.append(try reader.integer("integers")) }
            return .plain(values)
        case nil: throw ByteError(offset: reader.offset, reason: "integer form \(form) is unknown")
        }
    }

    static func decode(_ reader: inout ByteReader, count: Int) throws(ByteError) -> [UInt64] {
        try read(&reader, count: count).expanded(count: count).map { UInt64(bitPattern: $0) }
    }

    static func encode(doubles values: [Double], into out: inout [UInt8]) {
        for (exponent, power) in powers.enumerated() {
            guard let scaled = scaled(values, power) else { continue }
            out.append(UInt8(exponent))
            return encode(scaled, into: &out)
        }
        out.append(.max)
        encode(values.map { Int64(bitPattern: $0.bitPattern) }, into: &out)
    }

    private static func scaled(_ values: [Double], _ power: Double) -> [Int64]? {
        var scaled: [Int64] = []
        scaled.reserveCapacity(values.count)
        for value in values {
            let multiple = (value * power).rounded()
            guard multiple.magnitude < 1e15 else { return nil }
            // By way of the integer, which has no minus zero.
            let integer = Int64(multiple)
            guard (Double(integer) / power).bitPattern == value.bitPattern else { return nil }
            scaled.append(integer)
        }
        return scaled
    }

    /// What the numbers behind it are divided by; nil where they are the doubles' bits.
    static func power(_ reader: inout ByteReader) throws(ByteError) -> Double? {
        let exponent: UInt8 = try reader.integer("doubles")
        if exponent == .max { return nil }
        guard exponent < powers.count else { throw ByteError(offset: reader.offset, reason: "exponent \(exponent) of doubles") }
        return powers[Int(exponent)]
    }

    static func decodeDoubles(_ reader: inout ByteReader, count: Int) throws(ByteError) -> [UInt64] {
        let power = try power(&reader)
        let values = try decode(&reader, count: count)
        guard let power else { return values }
        return values.map { (Double(Int64(bitPattern: $0)) / power).bitPattern }
    }
}

/// Strings: each value's index into a dictionary, or, where most are distinct, one after the other.
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

    /// - Returns: the strings, and each value's index among them; nil where there is one string a value, in order.
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
        guard count == 0 || codes.areBelow(distinct) else { throw ByteError(offset: reader.offset, reason: "a string code is out of range") }
        return (strings, codes)
    }

    /// Each value's index in the table of strings.
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
        guard heap.count == Int(size) else { throw ByteError(offset: range.lowerBound, reason: "string heap of \(heap.count) bytes, not \(size)") }
        var offsets: [UInt32] = [0]
        offsets.reserveCapacity(count + 1)
        // They end where the heap does, as was checked.
        for length in lengths { offsets.append(offsets[offsets.count - 1] + length) }
        guard let strings = StringTable(heap: heap, offsets: offsets) else {
            throw ByteError(offset: range.lowerBound, reason: "string heap of \(size) bytes")
        }
        return strings
    }
}

/// Codes of a page's distinct strings, in order of first appearance.
struct PageDictionary {
    /// Index in the table of each code's string.
    private(set) var places: [Int] = []
    /// Codes + 1 by content; 0 is free.
    private var slots: [UInt32]
    private var hashes: [UInt64] = []
    /// The code + 1 of each index that was asked for, counted from `firstPlace`.
    private var known: [UInt32]
    private let firstPlace: Int

    /// - Parameter indexes: those that will be asked for.
    init(_ indexes: [Int]) {
        firstPlace = indexes.min() ?? 0
        let span = (indexes.max() ?? 0) - firstPlace + 1
        // Where a table was filled as its values came, the page's part of it is short.
        known = [UInt32](repeating: 0, count: span <= 8 * indexes.count ? span : 0)
        var size = 16
        while size < 2 * indexes.count { size *= 2 }
        slots = [UInt32](repeating: 0, count: size)
    }

    mutating func code(_ table: StringTable, _ place: Int) -> UInt32 {
        if known.isEmpty { return find(table, place) }
        let seen = known[place - firstPlace]
        if seen > 0 { return seen - 1 }
        let code = find(table, place)
        known[place - firstPlace] = code + 1
        return code
    }

    private mutating func find(_ table: StringTable, _ place: Int) -> UInt32 {
        let hash = table.hash(place)
        var at = Int(truncatingIfNeeded: hash) & (slots.count - 1)
        while slots[at] > 0 {
            let code = Int(slots[at]) - 1
            if hashes[code] == hash, places[code] == place || table.compare(places[code], with: table, place) == 0 { return UInt32(code) }
            at = (at + 1) & (slots.count - 1)
        }
        places.append(place)
        hashes.append(hash)
        slots[at] = UInt32(places.count)
        return UInt32(places.count - 1)
    }
}

/// Text that is the lower-case hexadecimal form of bytes, at half its length; and UUIDs (RFC 9562, section 4) as 16 bytes.
enum HexStrings {
    private static let dashes: Set<Int> = [8, 13, 18, 23]

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 48...57: byte - 48
        case 97...102: byte - 87
        default: nil
        }
    }

    private static func text(_ digit: UInt8) -> UInt8 { digit < 10 ? digit + 48 : digit + 87 }

    static func pack(_ heap: [UInt8], lengths: some Sequence<Int>) -> [UInt8]? {
        guard !heap.isEmpty, lengths.allSatisfy({ $0 % 2 == 0 }) else { return nil }
        var out: [UInt8] = []
        out.reserveCapacity(heap.count / 2)
        for i in stride(from: 0, to: heap.count, by: 2) {
            guard let high = digit(heap[i]), let low = digit(heap[i + 1]) else { return nil }
            out.append(high << 4 | low)
        }
        return out
    }

    static func unpack(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(bytes.count * 2)
        for byte in bytes {
            out.append(text(byte >> 4))
            out.append(text(byte & 15))
        }
        return out
    }

    static func packUUIDs(_ places: [Int], _ table: StringTable) -> [UInt8]? {
        var out: [UInt8] = []
        for place in places {
            let range = table.range(place)
            guard range.count == 36 else { return nil }
            var high: UInt8?
            for i in 0..<36 {
                let byte = table.heap[range.lowerBound + i]
                if dashes.contains(i) {
                    if byte != 45 { return nil }
                    continue
                }
                guard let value = digit(byte) else { return nil }
                if let first = high {
                    out.append(first << 4 | value)
                    high = nil
                } else {
                    high = value
                }
            }
        }
        return out.isEmpty ? nil : out
    }

    static func unpackUUIDs(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(bytes.count / 16 * 36)
        for (i, byte) in bytes.enumerated() {
            if [4, 6, 8, 10].contains(i % 16) { out.append(45) }
            out.append(text(byte >> 4))
            out.append(text(byte & 15))
        }
        return out
    }
}
