import Codec
import FunnelModel

/// One column's values for the rows of one key page. Layout: `Protocol/SEGMENT.md`, "Column page".
package enum ColumnPage {
    static let allRows: UInt8 = 0
    private static let someRows: UInt8 = 1

    /// Encodes one page.
    /// - Parameter range: the part of `values` that belongs to the page, whose first row is `firstRow`.
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

    /// The header of a page, before its values.
    struct Head {
        /// Where the bitmap of rows is; nil if all rows have a value.
        var bitmap: Range<Int>?
        /// Number of values.
        var count: Int
        /// Bit t is set if some value has tag t.
        var present: UInt8
        /// The tag of all values; nil if there are several tags.
        var tag: UInt8? { present & (present - 1) == 0 ? UInt8(present.trailingZeroBitCount) : nil }
    }

    /// Reads the header of a page.
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

    /// Reads the tag of each value, in a page of several tags.
    static func tags(_ reader: inout ByteReader, _ head: Head) throws(ByteError) -> [UInt8] {
        let tags = try IntegerColumn.decode(&reader, count: head.count, "column tags").map { UInt8(truncatingIfNeeded: $0) }
        guard tags.allSatisfy({ $0 <= 4 && head.present >> $0 & 1 == 1 }) else {
            throw ByteError(offset: reader.offset, reason: "column tags")
        }
        return tags
    }

    /// Decodes one page.
    /// - Parameter pageRows: rows of the key page.
    /// - Returns: values, with rows counted from the page's first.
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
