import FunnelCodec
import FunnelModel

/// A column page by codes: which of the page's entries each row has. Where all values are strings an entry is one of the
/// page's distinct strings, else each value is its own.
struct CodedPage: Sendable {
    /// By row of the page; `entries` where the row has no value.
    var codes: [UInt32]
    let entries: Int
    private let values: ColumnValues
    private let areStrings: Bool

    /// No row has a value.
    init() {
        codes = []
        values = ColumnValues()
        areStrings = true
        entries = 0
    }

    /// - Parameter pageRows: rows of the key page.
    init(_ bytes: [UInt8], pageRows: Int) throws(ByteError) {
        var reader = ByteReader(bytes)
        let form: UInt8 = try reader.integer("column rows")
        let bitmap = form == ColumnPage.allRows ? nil : try reader.take((pageRows + 7) / 8, "column rows")
        let present: UInt8 = try reader.integer("column tags")
        guard present == 1 << EventBatch.Tag.string else {
            self = CodedPage(try ColumnPage.decode(bytes, pageRows: pageRows), pageRows: pageRows)
            return
        }
        let rows = bitmap.map { bitmap in (0..<pageRows).filter { bytes[bitmap.lowerBound + $0 >> 3] >> UInt8($0 & 7) & 1 == 1 } }
        var values = ColumnValues()
        let count = rows?.count ?? pageRows
        let column = try StringColumn.read(&reader, count: count)
        values.strings = column.strings
        let found = column.codes.map { IntegerColumn.expand($0, count: count) } ?? Array(0..<UInt32(truncatingIfNeeded: count))
        try reader.finish("column page")
        self.values = values
        areStrings = true
        entries = values.strings.count
        guard let rows else {
            codes = found
            return
        }
        codes = [UInt32](repeating: UInt32(truncatingIfNeeded: entries), count: pageRows)
        for (row, code) in zip(rows, found) { codes[row] = code }
    }

    private init(_ values: ColumnValues, pageRows: Int) {
        self.values = values
        areStrings = false
        entries = values.rows.count
        codes = [UInt32](repeating: UInt32(truncatingIfNeeded: entries), count: pageRows)
        for (i, row) in values.rows.enumerated() { codes[Int(row)] = UInt32(truncatingIfNeeded: i) }
    }

    /// Bytes that the page takes, roughly.
    var bytes: Int { 64 + 4 * (codes.count + entries) + 13 * values.rows.count + 4 * values.strings.count + values.strings.heap.count }

    /// nil is no value.
    func value(_ entry: Int) -> PropertyValue? {
        if entry >= entries { return nil }
        return areStrings ? .string(values.strings[entry]) : values.value(entry)
    }

    /// The interner's code of an entry; nil where the entries are not strings.
    func code(_ entry: Int, _ interner: inout StringInterner) -> Int? {
        if !areStrings { return nil }
        return Int(interner.code(values.strings.heap.span.extracting(values.strings.range(entry))))
    }
}
