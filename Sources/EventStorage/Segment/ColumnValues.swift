import Codec
import FunnelModel

/// Values of one column for some rows, as in `EventBatch`: a tag and 64 bits, which for a string are its index in `strings`.
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
