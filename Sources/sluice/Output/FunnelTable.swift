import FunnelModel

/// A report as a table with a bar per step, and behind it a line for each row of its parts.
struct FunnelTable {
    let report: JSONValue
    private let steps: [JSONValue]

    init(_ report: JSONValue) {
        self.report = report
        steps = report["steps"]?.asArray ?? []
    }

    func text(width: Int) -> String {
        let names = steps.map { "\($0["index"]?.asInteger ?? 0). \(Self.text($0["step"]))" }
        let nameWidth = min(32, max(4, names.map(\.columns).max() ?? 4))
        let barWidth = max(10, min(30, width - nameWidth - 46))
        let worst = report["biggest_dropoff"]?["index"]?.asInteger
        let showsOpen = steps.contains { $0["open"]?.asInteger ?? 0 > 0 }
        var lines = [
            row(
                "step".padded(to: nameWidth), String(repeating: " ", count: barWidth), "users", "of first", "left", "median",
                showsOpen ? "still open" : nil)
        ]
        for (step, name) in zip(steps, names) {
            let share = step["conversion_from_first"]?.asDouble
            let mark = worst != nil && worst == step["index"]?.asInteger ? "  ◀ biggest drop-off" : ""
            let left = step["dropout_rate"]?.asDouble.map { ($0 == 0 ? "" : "-") + "\(Self.decimal($0)) %" } ?? ""
            lines.append(
                row(
                    name.padded(to: nameWidth), Bar.text(share ?? 0, width: barWidth), Terminal.number(Int(step["count"]?.asInteger ?? 0)),
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
            (name: ValueText.row(row["value"]), row: row)
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
        "\(name.padded(to: 32)) \(padLeft(entered, 10)) \(padLeft(converted, 10)) \(padLeft(share, 9))"
    }

    /// A name, or a number.
    static func text(_ value: JSONValue?) -> String {
        value?.asString?.string.printable ?? String(decoding: (value ?? .null).encode(), as: UTF8.self)
    }

    private var summary: String {
        let entered = Terminal.number(Int(report["entered"]?.asInteger ?? 0))
        let converted = Terminal.number(Int(report["converted"]?.asInteger ?? 0))
        let rate = report["conversion"]?.asDouble.map { " (\(Self.decimal($0 * 100)) %)" } ?? ""
        let text = "\(entered) entered, \(converted) converted\(rate), as of \(report["as_of"]?.asString?.string ?? "?")"
        return PartialAnswer.line(report).map { "\(text)\n\($0)" } ?? text
    }

    /// - Parameter open: of those who left, who can still go on; nil where no column tells that.
    private func row(
        _ name: String, _ bar: String, _ users: String, _ share: String, _ left: String, _ median: String, _ open: String?
    ) -> String {
        "\(name)  \(bar)  \(padLeft(users, 10)) \(padLeft(share, 9)) \(padLeft(left, 9)) \(padLeft(median, 9))"
            + (open.map { " " + padLeft($0, 10) } ?? "")
    }

    private func duration(_ seconds: Double?) -> String {
        guard let seconds else { return "–" }
        for (unit, size) in [("d", 86_400.0), ("h", 3_600), ("min", 60)] where seconds >= size {
            return "\(Self.decimal(seconds / size)) \(unit)"
        }
        return "\(Self.decimal(seconds)) s"
    }

    func padLeft(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.columns)) + text
    }

    /// One digit behind the point.
    static func decimal(_ value: Double) -> String {
        let tenths = Int((value * 10).rounded())
        return "\(tenths < 0 ? "-" : "")\(abs(tenths) / 10).\(abs(tenths) % 10)"
    }
}
