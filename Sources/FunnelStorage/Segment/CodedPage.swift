import FunnelModel

/// A column page by codes: which of the page's entries each row has. Where all values are strings an entry is one of the
/// page's distinct strings, else each value is its own.
struct CodedPage: Sendable {
    /// The code of a row without a value.
    static let none = UInt32.max

    /// By row of the page.
    let codes: [UInt32]
    private let values: ColumnValues
    private let areStrings: Bool

    /// No row has a value.
    init() {
        codes = []
        values = ColumnValues()
        areStrings = true
    }

    init(_ bytes: [UInt8], pageRows: Int) throws(ByteError) {
        var reader = ByteReader(bytes)
        let form: UInt8 = try reader.integer("column rows")
        let bitmap = form == ColumnPage.allRows ? nil : try reader.take((pageRows + 7) / 8, "column rows")
        let present: UInt8 = try reader.integer("column tags")
        areStrings = present == 1 << EventBatch.Tag.string
        guard areStrings else {
            values = try ColumnPage.decode(bytes, pageRows: pageRows)
            var codes = [UInt32](repeating: Self.none, count: pageRows)
            for (i, row) in values.rows.enumerated() { codes[Int(row)] = UInt32(truncatingIfNeeded: i) }
            self.codes = codes
            return
        }
        var values = ColumnValues()
        let count = bitmap.map { bytes[$0].reduce(0) { $0 + $1.nonzeroBitCount } } ?? pageRows
        guard count <= pageRows else { throw ByteError(offset: 0, reason: "column rows") }
        let found = try StringColumn.decodeCodes(&reader, count: count, &values.strings)
        try reader.finish("column page")
        self.values = values
        guard let bitmap else {
            codes = found
            return
        }
        var codes = [UInt32](repeating: Self.none, count: pageRows)
        var at = 0
        for row in 0..<pageRows where bytes[bitmap.lowerBound + row >> 3] >> UInt8(row & 7) & 1 == 1 {
            codes[row] = found[at]
            at += 1
        }
        self.codes = codes
    }

    var entries: Int { areStrings ? values.strings.count : values.rows.count }

    /// Bytes that the page takes, roughly.
    var bytes: Int { 64 + 4 * codes.count + 13 * values.rows.count + 4 * values.strings.count + values.strings.heap.count }

    func value(_ entry: Int) -> PropertyValue { areStrings ? .string(values.strings[entry]) : values.value(entry) }

    /// The entries as strings; nil where not all are.
    var strings: StringTable? { areStrings ? values.strings : nil }
}
