import FunnelModel

/// A report as a table with a bar per step, or as CSV; where a breakdown, a trend, segments or variants were asked for, CSV has
/// their rows.
struct FunnelTable {
    let report: JSONValue
    private let steps: [JSONValue]

    init(_ report: JSONValue) {
        self.report = report
        steps = report["steps"]?.asArray ?? []
    }

    func text(width: Int) -> String {
        let names = steps.map { "\($0["index"]?.asInteger ?? 0). \($0["step"]?.asString?.string ?? "")" }
        let nameWidth = min(32, max(4, names.map(\.count).max() ?? 4))
        let barWidth = max(10, min(30, width - nameWidth - 46))
        let worst = report["biggest_dropoff"]?["index"]?.asInteger
        let showsOpen = steps.contains { $0["open"]?.asInteger ?? 0 > 0 }
        var lines = [
            row(pad("step", nameWidth), String(repeating: " ", count: barWidth), "users", "of first", "left", "median", showsOpen ? "still open" : nil)
        ]
        for (step, name) in zip(steps, names) {
            let share = step["conversion_from_first"]?.asDouble
            let mark = worst != nil && worst == step["index"]?.asInteger ? "  ◀ biggest drop-off" : ""
            let left = step["dropout_rate"]?.asDouble.map { "-\(Self.decimal($0)) %" } ?? ""
            lines.append(
                row(pad(name, nameWidth), bar(share ?? 0, barWidth), Terminal.number(Int(step["count"]?.asInteger ?? 0)),
                    share.map { "\(Self.decimal($0 * 100)) %" } ?? "–", left, duration(step["median_seconds"]?.asDouble),
                    showsOpen ? step["open"]?.asInteger.map { Terminal.number(Int($0)) } ?? "" : nil) + mark)
        }
        lines.append("")
        lines.append(summary)
        lines += breakdownLines + trendLines + segmentLines + comparisonLines + variantLines
        return lines.joined(separator: "\n")
    }

    private var breakdownLines: [String] {
        guard let breakdown = report["breakdown"] else { return [] }
        var rows = (breakdown["rows"]?.asArray ?? []).map { row in
            (name: row["value"] == .null ? "(none)" : row["value"]?.asString?.string ?? Self.text(row["value"]), row: row)
        }
        if let other = breakdown["other"], other != .null {
            let range = other["values_range"]?.asArray?.map(Self.text)
            rows.append(("(\(range?.joined(separator: " to ") ?? Self.text(other["values"])) more)", other))
        }
        let head = "\(Self.text(breakdown["property"])) (\(Self.text(breakdown["touch"])))"
        return ["", part(head, "entered", "converted", "of first")] + rows.map { part($0.name, $0.row) }
    }

    private var trendLines: [String] {
        guard let trend = report["trend"] else { return [] }
        let buckets = trend["buckets"]?.asArray ?? []
        let lines = buckets.map { part(Self.text($0["start"]), $0) + ($0["immature"] == true ? "  still open" : "") }
        return ["", part(Self.text(trend["by"]), "entered", "converted", "of first")] + lines + [Self.text(trend["note"])]
    }

    func part(_ name: String, _ row: JSONValue) -> String {
        part(
            name, Terminal.number(Int(row["entered"]?.asInteger ?? 0)), Terminal.number(Int(row["converted"]?.asInteger ?? 0)),
            row["conversion"]?.asDouble.map { "\(Self.decimal($0 * 100)) %" } ?? "–")
    }

    func part(_ name: String, _ entered: String, _ converted: String, _ share: String) -> String {
        "\(pad(Terminal.printable(name), 32)) \(padLeft(entered, 10)) \(padLeft(converted, 10)) \(padLeft(share, 9))"
    }

    static func text(_ value: JSONValue?) -> String {
        value?.asString?.string ?? String(decoding: (value ?? .null).encoded, as: UTF8.self)
    }

    private var summary: String {
        let entered = Terminal.number(Int(report["entered"]?.asInteger ?? 0))
        let converted = Terminal.number(Int(report["converted"]?.asInteger ?? 0))
        let rate = report["conversion"]?.asDouble.map { " (\(Self.decimal($0 * 100)) %)" } ?? ""
        var text = "\(entered) entered, \(converted) converted\(rate), as of \(report["as_of"]?.asString?.string ?? "?")"
        if report["completeness"]?["exact"] != true {
            let missing = report["completeness"]?["missing"]?.asArray?.compactMap(\.asInteger).map(String.init) ?? []
            text += "\nPARTIAL: no answer from shards \(missing.joined(separator: ", "))"
        }
        return text
    }

    /// - Parameter open: of those who left, who can still go on; nil where no column tells that.
    private func row(
        _ name: String, _ bar: String, _ users: String, _ share: String, _ left: String, _ median: String, _ open: String?
    ) -> String {
        "\(name)  \(bar)  \(padLeft(users, 10)) \(padLeft(share, 9)) \(padLeft(left, 9)) \(padLeft(median, 9))"
            + (open.map { " " + padLeft($0, 10) } ?? "")
    }

    private func bar(_ share: Double, _ width: Int) -> String {
        let eighths = Int((min(1, max(0, share)) * Double(width * 8)).rounded())
        let parts = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"]
        return pad(String(repeating: "█", count: eighths / 8) + parts[eighths % 8], width)
    }

    private func duration(_ seconds: Double?) -> String {
        guard let seconds else { return "–" }
        for (unit, size) in [("d", 86_400.0), ("h", 3_600), ("min", 60)] where seconds >= size {
            return "\(Self.decimal(seconds / size)) \(unit)"
        }
        return "\(Self.decimal(seconds)) s"
    }

    private func pad(_ text: String, _ width: Int) -> String {
        text.count >= width ? String(text.prefix(width)) : text + String(repeating: " ", count: width - text.count)
    }

    func padLeft(_ text: String, _ width: Int) -> String {
        text.count >= width ? text : String(repeating: " ", count: width - text.count) + text
    }

    /// One digit behind the point.
    static func decimal(_ value: Double) -> String {
        let tenths = Int((value * 10).rounded())
        return "\(tenths < 0 ? "-" : "")\(abs(tenths) / 10).\(abs(tenths) % 10)"
    }

    /// Fields of every step, in the order of the first; text that a spreadsheet would run as a formula is quoted.
    var csv: String {
        if let rows = report["breakdown"]?["rows"]?.asArray { return csv(rows, ["value", "entered", "converted", "conversion"]) }
        if let buckets = report["trend"]?["buckets"]?.asArray {
            return csv(buckets, ["start", "end", "immature", "entered", "converted", "conversion"])
        }
        if let rows = partRows { return csv(rows, rows.first?.asObject?.map(\.key) ?? []) }
        return csv(steps, steps.first?.asObject?.map(\.key) ?? [])
    }

    private func csv(_ rows: [JSONValue], _ columns: [ByteString]) -> String {
        if columns.isEmpty { return "" }
        var lines = [columns.map(\.string).joined(separator: ",")]
        for row in rows { lines.append(columns.map { cell(row[$0] ?? .null) }.joined(separator: ",")) }
        return lines.joined(separator: "\n")
    }

    private func cell(_ value: JSONValue) -> String {
        switch value {
        case .null: return ""
        case .string(let text):
            let risky = text.bytes.first.map { "=+-@\t\r".utf8.contains($0) } ?? false
            return "\"" + (risky ? "'" : "") + text.string.replacing("\"", with: "\"\"") + "\""
        case .array(let pair): return "\"" + pair.map { String(decoding: $0.encoded, as: UTF8.self) }.joined(separator: " ") + "\""
        default: return String(decoding: value.encoded, as: UTF8.self)
        }
    }
}
