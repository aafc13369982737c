import Codec
import FunnelModel

/// A condition that is evaluated on a column page as it is stored: once per string of the page, once per run of equal values,
/// and for numbers by bounds in the page's own code. It has the result of `Predicate.accepts` on the values of
/// `ColumnPage.decode`, and throws for the same bytes.
package struct ColumnTest: Sendable {
    private let condition: Predicate
    private let text: TextTest
    /// Flag of a row without a value.
    let absent: UInt8

    /// Spare bytes after the last flag. They may be written, so that a short run takes one store.
    private static let spare = 8

    package init(_ condition: Predicate) {
        self.condition = condition
        text = TextTest(condition)
        absent = condition.accepts(nil) ? 1 : 0
    }

    /// Evaluates the condition on each row of a page.
    /// - Parameter pageRows: rows of the key page, at most `KeyPage.rows`.
    /// - Returns: for each row 1 if the condition holds, else 0; more bytes without meaning may follow.
    package func flags(_ bytes: [UInt8], pageRows: Int) throws(ByteError) -> [UInt8] {
        var reader = ByteReader(bytes)
        let head = try ColumnPage.head(&reader, pageRows: pageRows)
        var flags: [UInt8]
        if let tag = head.tag {
            flags = try self.flags(tag: tag, count: head.count, &reader)
        } else {
            flags = try mixed(head, &reader)
        }
        try reader.finish("column page")
        guard let bitmap = head.bitmap else { return flags }
        var rows = [UInt8](repeating: absent, count: pageRows)
        var next = 0
        for row in 0..<pageRows {
            let has = bytes[bitmap.lowerBound + row >> 3] >> UInt8(row & 7) & 1
            // Read for every row, which saves a branch; the spare bytes make that safe after the last flag.
            let flag = flags[next]
            rows[row] = has == 1 ? flag : absent
            next += Int(has)
        }
        return rows
    }

    private func mixed(_ head: ColumnPage.Head, _ reader: inout ByteReader) throws(ByteError) -> [UInt8] {
        let tags = try ColumnPage.tags(&reader, head)
        var flags = [UInt8](repeating: 0, count: head.count + Self.spare)
        for tag in UInt8(1)...4 where head.present >> tag & 1 == 1 {
            let places = tags.indices.filter { tags[$0] == tag }
            let mine = try self.flags(tag: tag, count: places.count, &reader)
            for (place, flag) in zip(places, mine) { flags[place] = flag }
        }
        return flags
    }

    /// Flags of the values of one tag, then the spare bytes.
    private func flags(tag: UInt8, count: Int, _ reader: inout ByteReader) throws(ByteError) -> [UInt8] {
        switch tag {
        case EventBatch.Tag.string:
            let (strings, codes) = try StringColumn.read(&reader, count: count)
            let table = strings.flags(text)
            guard let codes else { return table + [UInt8](repeating: 0, count: Self.spare) }
            return Self.spread(codes, count: count) { Self.look(up: $0, in: table) }
        case EventBatch.Tag.integer:
            let (test, values) = (NumberTest(condition), try NumberColumn.read(&reader, count: count))
            return numbers(test, values, count: count) { .integer($0) }
        case EventBatch.Tag.double:
            let test = NumberTest(condition)
            if let power = try NumberColumn.power(&reader) {
                return numbers(test, try NumberColumn.read(&reader, count: count), count: count) { .double(Double($0) / power) }
            }
            let values = try NumberColumn.read(&reader, count: count).expanded(count: count).map(OrderedDouble.code)
            return test.flags(values, test.codes(in: OrderedDouble.numbers, OrderedDouble.value), spare: Self.spare)
        default:
            let table = [false, true].map { condition.accepts(.bool($0)) ? UInt8(1) : 0 }
            return Self.spread(try ColumnPage.booleans(&reader, count: count), count: count) { Self.look(up: $0, in: table) }
        }
    }

    /// Flags of numbers, then the spare bytes.
    /// - Parameter value: the value of a stored number; must not descend where numbers ascend.
    private func numbers(
        _ test: NumberTest, _ values: NumberColumn.Values, count: Int, _ value: (Int64) -> PropertyValue
    ) -> [UInt8] {
        if case .above(let least, let codes) = values, least <= Int64.max - Int64(UInt32.max) {
            let accepted = test.codes(in: least...(least + Int64(UInt32.max)), value)
            let offsets = accepted.map {
                UInt32(truncatingIfNeeded: $0.lowerBound - least)...UInt32(truncatingIfNeeded: $0.upperBound - least)
            }
            return Self.spread(codes, count: count) { test.flags($0, offsets, spare: Self.spare) }
        }
        return test.flags(values.expanded(count: count), test.codes(in: Int64.min...Int64.max, value), spare: Self.spare)
    }

    /// Flags of `count` values, then the spare bytes. `flags` returns the flags of the codes that it gets, and spare bytes.
    private static func spread(_ values: IntegerColumn.Values, count: Int, _ flags: ([UInt32]) -> [UInt8]) -> [UInt8] {
        switch values {
        case .constant(let code): return [UInt8](repeating: count > 0 ? flags([code])[0] : 0, count: count + spare)
        case .packed(let codes): return flags(codes)
        case .runs(let heads, let lengths):
            let heads = flags(heads)
            var out = [UInt8](repeating: 0, count: count + spare)
            unsafe out.withUnsafeMutableBytes { out in
                guard let base = out.baseAddress else { return }
                var at = 0
                for i in lengths.indices {
                    // The lengths add up to the count, so only spare bytes are written after it. Most runs are short.
                    let length = Int(lengths[i])
                    let eight = UInt64(heads[i]) &* 0x0101_0101_0101_0101
                    var filled = 0
                    repeat {
                        unsafe base.storeBytes(of: eight, toByteOffset: at &+ filled, as: UInt64.self)
                        filled &+= 8
                    } while filled < length
                    at &+= length
                }
            }
            return out
        }
    }

    /// Flags of codes, looked up in a table, then the spare bytes. All codes must be below the table's count.
    private static func look(up codes: [UInt32], in table: [UInt8]) -> [UInt8] {
        var flags = [UInt8](repeating: 0, count: codes.count + spare)
        let (table, codes) = (table.span, codes.span)
        var out = flags.mutableSpan
        var i = 0
        while i < codes.count {
            out[i] = table[Int(codes[i])]
            i &+= 1
        }
        return flags
    }
}

/// A condition as ranges of the codes of numbers. Codes ascend as their values do, so a binary search by `PropertyValue.order`
/// finds the place of the condition's own value among them. It is the same for integers, decimals and doubles.
private struct NumberTest {
    private let condition: Predicate
    /// Whether the ranges are of refused codes.
    private let isInverted: Bool

    init(_ condition: Predicate) {
        self.condition = condition
        switch condition.comparison {
        case .notEqual, .notIn, .exists: isInverted = true
        default: isInverted = false
        }
    }

    /// Ranges of accepted codes, or of refused ones if `isInverted`.
    func codes(in domain: ClosedRange<Int64>, _ value: (Int64) -> PropertyValue) -> [ClosedRange<Int64>] {
        switch condition.comparison {
        case .exists, .notExists, .contains, .startsWith: return []
        case .equal, .notEqual, .isIn, .notIn:
            return condition.values.compactMap { other in codes(in: domain, value, other) { $0 == 0 } }
        case .greater: return condition.values.prefix(1).compactMap { other in codes(in: domain, value, other) { $0 > 0 } }
        case .greaterOrEqual: return condition.values.prefix(1).compactMap { other in codes(in: domain, value, other) { $0 >= 0 } }
        case .less: return condition.values.prefix(1).compactMap { other in codes(in: domain, value, other) { $0 < 0 } }
        case .lessOrEqual: return condition.values.prefix(1).compactMap { other in codes(in: domain, value, other) { $0 <= 0 } }
        }
    }

    /// Codes whose value has an accepted order against `other`; nil if there are none, or if the types cannot be compared.
    private func codes(
        in domain: ClosedRange<Int64>, _ value: (Int64) -> PropertyValue, _ other: PropertyValue, _ accepts: (Int) -> Bool
    ) -> ClosedRange<Int64>? {
        guard value(domain.lowerBound).order(against: other) != nil else { return nil }
        // Three stretches follow each other: below, equal, above. An accepted order is one of them, or two neighbours.
        let notBelow = Self.first(in: domain) { value($0).order(against: other) ?? -1 >= 0 }
        let above = Self.first(in: domain) { value($0).order(against: other) ?? -1 > 0 }
        let low: Int64? = accepts(-1) ? domain.lowerBound : (accepts(0) ? notBelow : above)
        let end: Int64? = accepts(1) ? nil : (accepts(0) ? above : notBelow)
        guard let low else { return nil }
        guard let end else { return low...domain.upperBound }
        return low < end ? low...(end - 1) : nil
    }

    /// Binary search for the first code at which `holds` is true; it must stay true above. nil if it is never true.
    private static func first(in domain: ClosedRange<Int64>, _ holds: (Int64) -> Bool) -> Int64? {
        guard holds(domain.upperBound) else { return nil }
        var (low, high) = (domain.lowerBound, domain.upperBound)
        while low < high {
            // The width of the domain may not fit into Int64.
            let middle = low &+ Int64(bitPattern: UInt64(bitPattern: high &- low) / 2)
            if holds(middle) { high = middle } else { low = middle + 1 }
        }
        return low
    }

    func flags<Code: FixedWidthInteger>(_ codes: [Code], _ ranges: [ClosedRange<Code>], spare: Int) -> [UInt8] {
        var flags = [UInt8](repeating: isInverted ? 1 : 0, count: codes.count + spare)
        let codes = codes.span
        var out = flags.mutableSpan
        for range in ranges {
            let low = Code.Magnitude(truncatingIfNeeded: range.lowerBound)
            let width = Code.Magnitude(truncatingIfNeeded: range.upperBound) &- low
            var i = 0
            // One comparison per code tests both bounds, by unsigned wrap-around.
            while i < codes.count {
                let isIn: UInt8 = Code.Magnitude(truncatingIfNeeded: codes[i]) &- low <= width ? 1 : 0
                out[i] = isInverted ? out[i] & ~isIn : out[i] | isIn
                i &+= 1
            }
        }
        return flags
    }
}

/// Maps the bits of doubles to integers of the same order. -0 maps below 0, although the two are equal; NaNs map outside `numbers`.
private enum OrderedDouble {
    static let numbers = code(Int64(bitPattern: (-Double.infinity).bitPattern))...code(Int64(bitPattern: Double.infinity.bitPattern))

    static func code(_ bits: Int64) -> Int64 { bits ^ Int64(bitPattern: UInt64(bitPattern: bits >> 63) >> 1) }

    static func value(_ code: Int64) -> PropertyValue { .double(Double(bitPattern: UInt64(bitPattern: self.code(code)))) }
}
