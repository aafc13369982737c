import FunnelModel

extension ReportTable {
    /// Who reads the text.
    package enum CSVReader: Sendable {
        /// A person, or a program behind `sluice`: control characters are replaced by pictures of them, formulas are guarded.
        case terminal
        /// A spreadsheet: texts are as they are, but that formulas are guarded.
        case spreadsheet
        /// A program: texts are as they are.
        case program
    }

    /// The names of the columns and the rows, without line ends.
    package func csvLines(for reader: CSVReader) -> [String] {
        [columns.map(\.string).joined(separator: ",")] + rows.map { $0.map { Self.cell($0, for: reader) }.joined(separator: ",") }
    }

    /// The table as RFC 4180 says: every line ends with CR and LF.
    package func csv(for reader: CSVReader) -> [UInt8] {
        var out: [UInt8] = []
        for line in csvLines(for: reader) {
            out += line.utf8
            out += [13, 10]
        }
        return out
    }

    /// Tables that have rows, for a terminal, with an empty line between them.
    package static func text(_ tables: [ReportTable]) -> String {
        tables.filter { !$0.isEmpty }.map { $0.csvLines(for: .terminal).joined(separator: "\n") }.joined(separator: "\n\n")
    }

    /// One cell. Numbers and booleans are bare, texts are in quotes, and null is nothing. A guarded text has an apostrophe before it if a
    /// spreadsheet would run it as a formula, or if it begins with an apostrophe itself.
    package static func cell(_ value: JSONValue, for reader: CSVReader) -> String {
        switch value {
        case .null: return ""
        case .bool, .integer, .double: return json(value)
        case .array, .object: return quoted(json(value), for: reader)
        case .string(let text): return quoted(text.string, for: reader)
        }
    }

    private static func json(_ value: JSONValue) -> String { String(decoding: value.encode(), as: UTF8.self) }

    private static func quoted(_ text: String, for reader: CSVReader) -> String {
        let (shown, isGuarded) =
            switch reader {
            case .terminal: (text.printable, true)
            case .spreadsheet: (text, true)
            case .program: (text, false)
            }
        return "\"" + (isGuarded && isRisky(shown) ? "'" : "") + shown.escaping("\"", as: "\"\"") + "\""
    }

    /// Characters at the start of a text, behind blanks, by which a spreadsheet may take it for a formula; the last four are the wide forms
    /// of the first four.
    private static let risky = Set("=+-@'\t\r\n\u{FF1D}\u{FF0B}\u{FF0D}\u{FF20}".unicodeScalars)

    private static func isRisky(_ text: String) -> Bool { text.unicodeScalars.first { $0 != " " }.map(risky.contains) ?? false }
}
