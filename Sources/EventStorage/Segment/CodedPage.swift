import Codec
import FunnelModel

/// A column page as codes: the entry of each row. If all values are strings, the entries are the strings that the page
/// stores; otherwise each value is an entry.
final class CodedPage {
    /// Entry by row of the page; `entries` for a row without a value.
    let codes: [UInt32]
    let entries: Int
    private let values: ColumnValues
    private let areStrings: Bool

    /// A page of which no row has a value.
    convenience init() { self.init(codes: [], ColumnValues()) }

    private init(codes: [UInt32], _ values: ColumnValues, areStrings: Bool = true) {
        self.codes = codes
        self.values = values
        self.areStrings = areStrings
        entries = areStrings ? values.strings.count : values.rows.count
    }

    /// Decodes the bytes of a column page.
    /// - Parameter pageRows: rows of the key page.
    static func decode(_ bytes: [UInt8], pageRows: Int) throws(ByteError) -> CodedPage {
        var reader = ByteReader(bytes)
        let form: UInt8 = try reader.integer("column rows")
        let bitmap = form == ColumnPage.allRows ? nil : try reader.take((pageRows + 7) / 8, "column rows")
        let present: UInt8 = try reader.integer("column tags")
        guard present == 1 << EventBatch.Tag.string else {
            let values = try ColumnPage.decode(bytes, pageRows: pageRows)
            let codes = spread(values.rows.indices.map { UInt32($0) }, values.rows.map { Int($0) }, pageRows, none: values.rows.count)
            return CodedPage(codes: codes, values, areStrings: false)
        }
        let rows = bitmap.map { bitmap in (0..<pageRows).filter { bytes[bitmap.lowerBound + $0 >> 3] >> UInt8($0 & 7) & 1 == 1 } }
        var values = ColumnValues()
        let count = rows?.count ?? pageRows
        let column = try StringColumn.read(&reader, count: count)
        values.strings = column.strings
        let codes = column.codes.map { IntegerColumn.expand($0, count: count) } ?? Array(0..<UInt32(truncatingIfNeeded: count))
        try reader.finish("column page")
        return CodedPage(codes: rows.map { spread(codes, $0, pageRows, none: values.strings.count) } ?? codes, values)
    }

    /// Spreads the codes of some rows over all rows of the page; the others get `none`.
    private static func spread(_ codes: [UInt32], _ rows: [Int], _ pageRows: Int, none: Int) -> [UInt32] {
        var all = [UInt32](repeating: UInt32(truncatingIfNeeded: none), count: pageRows)
        for (row, code) in zip(rows, codes) { all[row] = code }
        return all
    }

    /// Bytes of memory, roughly.
    var bytes: Int { 256 + 4 * (2 * codes.count + entries) + 13 * values.rows.count + 4 * values.strings.count + values.strings.heap.count }

    /// The value of an entry; nil for a row without a value.
    func value(_ entry: Int) -> PropertyValue? {
        if entry >= entries { return nil }
        return areStrings ? .string(values.strings[entry]) : values.value(entry)
    }

    /// The interner's code of an entry; nil if the entries are not strings.
    func code(_ entry: Int, _ interner: inout StringInterner) -> Int? {
        if !areStrings { return nil }
        let heap = values.strings.heap
        return Int(interner.code(heap.span.extracting(values.strings.range(entry))))
    }
}
