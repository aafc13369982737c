import FunnelModel

/// A report as CSV: every row and every number of it. What was asked beside the steps has a table of its own, a row for each value,
/// bucket, segment, variant or funnel, with the steps side by side; several tables are separated by an empty line.
struct ReportCSV {
    typealias Row = [JSONValue.Member]

    private let report: JSONValue

    init(_ report: JSONValue) { self.report = report }

    var text: String { Self.text(tables: tables) }

    private var tables: [[Row]] {
        var tables = [breakdown, trend, segments] + variants
        let hasParts = tables.contains { !$0.isEmpty }
        if !hasParts || report["previous"] != nil { tables.append(steps) }
        return tables
    }

    // MARK: Rows

    private var steps: [Row] {
        let steps = report["steps"]?.asArray ?? []
        return steps.enumerated().map { i, step in
            var row = Self.cells(step)
            row.append(.init("expected_conversions", i == steps.count - 1 ? report["expected_conversions"] ?? .null : .null))
            guard let previous = report["previous"] else { return row }
            row += [.init("previous_start", previous["start"] ?? .null), .init("previous_end", previous["end"] ?? .null)]
            for (part, prefix) in [(previous, "previous_"), (report["change"] ?? .null, "change_")] {
                let members = part["steps"]?.asArray?[i].asObject ?? []
                row += Self.cells(.object(members.filter { $0.key != "step" && $0.key != "index" }), prefix: prefix)
            }
            return row
        }
    }

    /// The rows add up to the whole.
    private var breakdown: [Row] {
        guard let breakdown = report["breakdown"] else { return [] }
        var rows = (breakdown["rows"]?.asArray ?? []).map { row in
            Self.named(row["value"], of: "value", values: row["value"] == .null ? nil : 1...1) + Self.cells(row, without: ["value"])
        }
        if let other = breakdown["other"], other != .null {
            let range = other["values_range"]?.asArray?.compactMap(\.asInteger) ?? []
            let known = other["values"]?.asInteger ?? 0
            rows.append(
                Self.named(nil, of: "other", values: range.count == 2 ? range[0]...range[1] : known...known)
                    + Self.cells(other, without: ["values", "values_range"]))
        }
        return rows
    }

    /// - Parameters:
    ///   - row: what stands in the row; of one whose value is null, that there is none.
    ///   - values: how many values, which may not be known exactly.
    private static func named(_ value: JSONValue?, of row: String, values: ClosedRange<Int64>? = nil) -> Row {
        [
            .init("row", .text(value == .null ? "no_value" : row)), .init("kind", .text(ValueText.kind(value))),
            .init("value", value ?? .null),
        ]
            + (row == "value" || row == "other"
                ? [
                    .init("values_least", values.map { .integer($0.lowerBound) } ?? .null),
                    .init("values_most", values.map { .integer($0.upperBound) } ?? .null),
                ] : [])
    }

    private var trend: [Row] { (report["trend"]?["buckets"]?.asArray ?? []).map { Self.cells($0) } }

    /// Behind the whole, which they need not add up to.
    private var segments: [Row] {
        guard let segments = report["segments"]?.asArray else { return [] }
        let keys: [ByteString] = [
            "entered", "converted", "conversion", "conversion_ci", "steps", "biggest_dropoff", "expected_conversions",
        ]
        let whole = JSONValue.object(keys.map { .init($0, report[$0] ?? .null) })
        let head: Row = [.init("row", "whole"), .init("name", .null)]
        return [head + Self.cells(whole)] + segments.map { [.init("row", "segment")] + Self.cells($0, without: ["times"]) }
    }

    private var variants: [[Row]] {
        guard let variants = report["variants"] else { return [] }
        if let funnels = variants["funnels"]?.asArray {
            let pairs = Self.cells(variants["table"] ?? .null) + Self.cells(variants["paired"] ?? .null)
            return [funnels.map { Self.cells($0, without: ["funnel", "rules"]) }, [pairs]]
        }
        let shares = variants["sample_ratio"]?["expected"]?.asArray ?? []
        let whole: Row = [
            .init("sample_ratio_p_value", variants["sample_ratio"]?["p_value"] ?? .null),
            .init("several_values", variants["several_values"] ?? .null), .init("immature", variants["immature"] ?? .null),
        ]
        var rows = (variants["groups"]?.asArray ?? []).enumerated().map { i, group in
            let share = shares.indices.contains(i) ? shares[i]["share"] : nil
            return Self.named(group["value"], of: "variant") + Self.cells(group, without: ["value", "comparison"])
                + Self.cells(group["comparison"] ?? .null) + [.init("planned_share", share ?? .null)] + whole
        }
        rows.append(Self.named(.null, of: "variant") + Self.cells(variants["without_value"] ?? .null) + whole)
        return [rows]
    }

    // MARK: Cells

    /// The members of an object, those of objects and steps in it beside them; an interval is two cells.
    static func cells(_ object: JSONValue, without left: Set<ByteString> = [], prefix: String = "") -> Row {
        (object.asObject ?? []).filter { !left.contains($0.key) }.flatMap { member -> Row in
            let key = prefix + member.key.string
            if key.hasSuffix("_ci") {
                let bounds = member.value.asArray ?? [.null, .null]
                return [.init(ByteString(key + "_low"), bounds[0]), .init(ByteString(key + "_high"), bounds[1])]
            }
            if member.key == "steps", let steps = member.value.asArray {
                return steps.enumerated().flatMap { cells($1, without: ["step", "index"], prefix: "\(prefix)step_\($0 + 1)_") }
            }
            if member.value.asObject != nil { return cells(member.value, prefix: key + "_") }
            return [.init(ByteString(key), member.value)]
        }
    }

    /// Tables that have rows, an empty line between them.
    static func text(tables: [[Row]]) -> String { tables.filter { !$0.isEmpty }.map(text).joined(separator: "\n\n") }

    private static func text(_ rows: [Row]) -> String {
        var columns: [ByteString] = []
        for key in rows.joined().map(\.key) where !columns.contains(key) { columns.append(key) }
        let lines = rows.map { row in columns.map { key in cell(row.first { $0.key == key }?.value ?? .null) }.joined(separator: ",") }
        return ([columns.map(\.string).joined(separator: ",")] + lines).joined(separator: "\n")
    }

    /// Numbers stay numbers. A text that a spreadsheet would run as a formula has an apostrophe before it, and so has one that begins
    /// with an apostrophe.
    static func cell(_ value: JSONValue) -> String {
        guard case .string(let text) = value else { return value == .null ? "" : String(decoding: value.encode(), as: UTF8.self) }
        let shown = text.string.printable
        let risky = "=+-@'\u{FF1D}\u{FF0B}\u{FF0D}\u{FF20}".unicodeScalars
        let isRisky = shown.unicodeScalars.first { $0 != " " }.map(risky.contains) ?? false
        return "\"" + (isRisky ? "'" : "") + shown.escaping("\"", as: "\"\"") + "\""
    }
}
