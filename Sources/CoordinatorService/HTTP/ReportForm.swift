import FunnelModel
import FunnelProtocol
import HTTPTypes
import Hummingbird
import ReportTables
import ServiceHost

/// How the answer to a report's request is written: the parameters `format`, `raw` and `table`.
struct ReportForm: Sendable {
    enum Format: String, CaseIterable { case json, csv, ndjson }

    static let parameters: Set<ByteString> = ["format", "raw", "table"]

    var format = Format.json
    /// Of CSV: whether texts that a spreadsheet would run as formulas are left as they are.
    var isRaw = false
    /// One of the report's tables; nil is the first that it has.
    var table: String?

    /// Reads the parameters. `tables` are the names of the report's tables; a report with only one has no `table`.
    static func read(_ reader: inout FieldReader, tables: [String]) -> ReportForm {
        var form = ReportForm()
        form.format = reader.choice("format") ?? .json
        form.isRaw = reader.flag("raw") ?? false
        guard tables.count > 1, let table = reader.string("table")?.string else { return form }
        if !tables.contains(table) {
            reader.faultAt("table", "must be one of \(tables.joined(separator: ", ")); \"\(table.prefix(40))\" is not")
        } else if form.format == .json {
            reader.faultAt("table", "needs format=csv or format=ndjson; JSON has all tables")
        }
        form.table = table
        return form
    }

    var contentType: String {
        switch format {
        case .json: "application/json"
        case .csv: "text/csv; charset=utf-8"
        case .ndjson: "application/x-ndjson"
        }
    }

    private var csvReader: ReportTable.CSVReader { isRaw ? .program : .spreadsheet }

    /// The header of CSV and the rows.
    func bytes(of table: ReportTable) -> [UInt8] { format == .ndjson ? table.jsonLines : table.csv(for: csvReader) }

    /// The same without the header.
    func rows(of table: ReportTable) -> [UInt8] {
        guard format == .csv else { return table.jsonLines }
        return table.csvLines(for: csvReader).dropFirst().flatMap { Array($0.utf8) + [13, 10] }
    }

    /// Fields of the head of a table, which has no other place for what it is of.
    /// - Parameter name: of the file that a browser makes of the answer, without extension; letters, digits and `_.-`.
    func headers(asOf: JSONValue?, completeness: JSONValue?, file name: String) -> HTTPFields {
        var fields: HTTPFields = [.contentDisposition: "attachment; filename=\"\(name).\(format.rawValue)\""]
        if let asOf = asOf?.asString { fields[.asOf] = asOf.string }
        if let completeness { fields[.completeness] = String(decoding: completeness.encode(), as: UTF8.self) }
        return fields
    }
}

extension HTTPField.Name {
    static let asOf = HTTPField.Name("Sluice-As-Of")!
    static let completeness = HTTPField.Name("Sluice-Completeness")!
}

extension FieldReader {
    /// Whether a parameter of a URL is true: `1` or `true`; `0` and `false` are false, another text is a fault.
    mutating func flag(_ key: ByteString) -> Bool? {
        guard let text = string(key)?.string else { return nil }
        if !["0", "1", "false", "true"].contains(text) { faultAt(key, "must be 1 or true, or 0 or false; \"\(text.prefix(40))\" is not") }
        return text == "1" || text == "true"
    }
}
