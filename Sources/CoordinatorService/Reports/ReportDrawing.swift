import FunnelModel
import Notifications
import TimeZones

/// A report for people: the funnel as bars, and a table for each part. Bars are table cells with a background colour, which mail programs
/// show without pictures.
struct ReportDrawing {
    private struct Step {
        var name: String
        var count: Int64
        /// Of the users who entered.
        var share: Double?
        var lost: Int64?
    }

    private struct Table {
        var caption: String
        var columns: [String]
        var rows: [[String]]
    }

    private static let rowsMax = 400
    private static let nameCharacters = 120

    private let steps: [Step]
    private let tables: [Table]
    /// Sentences about the whole.
    private let remarks: [String]

    init(_ report: ReportAnswer) {
        let answer = report.answer
        steps = (answer["steps"]?.asArray ?? []).map { step in
            Step(
                name: Self.name(step["step"]), count: step["count"]?.asInteger ?? 0, share: step["conversion_from_first"]?.asDouble,
                lost: step["dropoff"]?.asInteger)
        }
        tables = [Self.breakdown(answer), Self.segments(answer), Self.trend(answer, report.zone)].compactMap(\.self)
        remarks = Self.remarks(report)
    }

    // MARK: - What is shown

    private static func remarks(_ report: ReportAnswer) -> [String] {
        let answer = report.answer
        let days = report.start == report.end ? report.start : "\(report.start) to \(report.end)"
        var remarks = ["\(days), \(report.zone.string.printable). Conversion: \(percent(answer["conversion"]?.asDouble))."]
        if let worst = answer["biggest_dropoff"], let users = worst["users"]?.asInteger {
            remarks.append("Biggest drop-off: \(users) before \(name(worst["step"])).")
        }
        if let change = answer["change"] {
            let points = change["conversion"]?.asDouble.map { "\(signed($0 * 100, decimals: 1)) points" } ?? "–"
            let counts = ["entered", "converted"].map { key in
                "\(key) \(change[ByteString(key)]?.asInteger.map { signed(Double($0), decimals: 0) } ?? "–")"
            }
            remarks.append("Against the days before: \(counts.joined(separator: ", ")), conversion \(points).")
        }
        if !report.leftOut.isEmpty {
            remarks.append(
                "Left out, since the answer would have more than \(ReportAnswer.bytesMax) bytes: \(report.leftOut.joined(separator: ", "))."
            )
        }
        return remarks
    }

    private static let countColumns = ["Entered", "Converted", "Conversion"]

    private static func counts(_ row: JSONValue) -> [String] {
        [integer(row["entered"]), integer(row["converted"]), percent(row["conversion"]?.asDouble)]
    }

    private static func breakdown(_ answer: JSONValue) -> Table? {
        guard let breakdown = answer["breakdown"] else { return nil }
        var rows = (breakdown["rows"]?.asArray ?? []).map { row in
            [row["value"] == .null ? "(no value)" : name(row["value"])] + counts(row)
        }
        if let other = breakdown["other"], other != .null { rows.append(["(other values)"] + counts(other)) }
        let property = name(breakdown["property"])
        return Table(caption: "By \(property)", columns: [property] + countColumns, rows: rows)
    }

    private static func segments(_ answer: JSONValue) -> Table? {
        guard let segments = answer["segments"]?.asArray else { return nil }
        return Table(
            caption: "Segments", columns: ["Segment"] + countColumns, rows: segments.map { [name($0["name"])] + counts($0) })
    }

    private static func trend(_ answer: JSONValue, _ zone: ByteString) -> Table? {
        guard let trend = answer["trend"] else { return nil }
        let named = NamedZone(zone.string) ?? .utc
        let isHourly = trend["by"] == "hour"
        let rows = (trend["buckets"]?.asArray ?? []).map { bucket -> [String] in
            let start = bucket["start"]?.asString.flatMap { try? Timestamp.parse($0) } ?? 0
            let shown = start + named.offset(at: Timestamp.floorDivide(start, 1_000_000)) * 1_000_000
            let text = Timestamp.format(shown)
            return [isHourly ? "\(text.prefix(10)) \(text.dropFirst(11).prefix(5))" : String(text.prefix(10))] + counts(bucket)
        }
        return Table(caption: "Trend", columns: ["From"] + countColumns, rows: rows)
    }

    // MARK: - Plain text

    /// The steps, one a line.
    var stepLines: [String] {
        steps.enumerated().map { i, step in "\(i + 1). \(step.name): \(step.count) (\(Self.percent(step.share)))" }
    }

    var text: String {
        let tables = tables.map { table in
            let cut = table.rows.count - Self.rowsMax
            let rows = table.rows.prefix(Self.rowsMax).map { row in
                "\(row[0]): " + zip(table.columns, row).dropFirst().map { "\($0.lowercased()) \($1)" }.joined(separator: ", ")
            }
            return ([table.caption] + rows + (cut > 0 ? ["(\(cut) more rows)"] : [])).joined(separator: "\n")
        }
        return ([remarks.joined(separator: "\n"), stepLines.joined(separator: "\n")] + tables).joined(separator: "\n\n")
    }

    // MARK: - HTML

    var html: String {
        var html = remarks.map { "<p style=\"margin:4px 0\">\(MailMessage.escaped($0))</p>\n" }.joined()
        html += "<table role=\"presentation\" width=\"100%\" cellspacing=\"0\" cellpadding=\"0\" style=\"max-width:640px;margin:16px 0\">\n"
        for (i, step) in steps.enumerated() { html += Self.row(i, step) }
        html += "</table>\n"
        for table in tables { html += Self.html(table) }
        return html
    }

    private static func row(_ i: Int, _ step: Step) -> String {
        let lost = step.lost.map { $0 > 0 ? ", \($0) lost" : "" } ?? ""
        return """
            <tr><td style="padding-top:10px">\(i + 1). \(MailMessage.escaped(step.name))</td>\
            <td align="right" style="padding-top:10px">\(step.count) (\(percent(step.share)))\(lost)</td></tr>
            <tr><td colspan="2">\(bar(step.share ?? 0))</td></tr>\n
            """
    }

    /// A cell for the share, and one for the rest.
    private static func bar(_ share: Double) -> String {
        let width = Int((min(max(share, 0), 1) * 100).rounded())
        func cell(_ width: Int, _ color: String) -> String {
            width == 0 ? "" : "<td width=\"\(width)%\" height=\"16\" bgcolor=\"\(color)\" style=\"line-height:16px\">&nbsp;</td>"
        }
        return "<table role=\"presentation\" width=\"100%\" cellspacing=\"0\" cellpadding=\"0\"><tr>"
            + cell(width, "#2f6fde") + cell(100 - width, "#e8ecf2") + "</tr></table>"
    }

    private static func html(_ table: Table) -> String {
        func row(_ cells: [String], _ tag: String) -> String {
            let cells = cells.enumerated().map { i, cell in
                "<\(tag) align=\"\(i == 0 ? "left" : "right")\">\(MailMessage.escaped(cell))</\(tag)>"
            }
            return "<tr>\(cells.joined())</tr>\n"
        }
        let cut = table.rows.count - rowsMax
        return "<h3>\(MailMessage.escaped(table.caption))</h3>\n<table cellpadding=\"4\">\n" + row(table.columns, "th")
            + table.rows.prefix(rowsMax).map { row($0, "td") }.joined() + "</table>\n"
            + (cut > 0 ? "<p>\(cut) more rows are in the attached file.</p>\n" : "")
    }

    // MARK: - Texts

    private static func name(_ value: JSONValue?) -> String {
        let text: String
        switch value {
        case .string(let string)?: text = string.string
        case let other?: text = String(decoding: other.encode(), as: UTF8.self)
        case nil: text = ""
        }
        let shown = text.printable
        return shown.count > nameCharacters ? "\(shown.prefix(nameCharacters))…" : shown
    }

    private static func integer(_ value: JSONValue?) -> String { value?.asInteger.map { "\($0)" } ?? "–" }

    private static func percent(_ share: Double?) -> String {
        guard let share, share.isFinite, abs(share) < 1e6 else { return "–" }
        return decimal(share * 100, decimals: 1) + " %"
    }

    private static func signed(_ value: Double, decimals: Int) -> String {
        let text = decimal(abs(value), decimals: decimals)
        return value < 0 ? "−" + text : "+" + text
    }

    /// A number of 0 or more with a fixed count of decimals, 0 or 1.
    private static func decimal(_ value: Double, decimals: Int) -> String {
        guard value.isFinite, value < 1e15 else { return "–" }
        guard decimals == 1 else { return "\(Int64(value.rounded()))" }
        let tenths = Int64((value * 10).rounded())
        return "\(tenths / 10).\(tenths % 10)"
    }
}
