import FunnelModel

/// The report of a query.
extension ReportTable {
    /// Every part that was asked for, and the steps: `breakdown`, `trend`, `segments`, `variants` or `funnels` and `paired`, `steps`.
    package static func funnel(_ report: JSONValue) -> [ReportTable] { parts(report) + [steps(report)] }

    /// What a command prints: the parts, and the steps where there is no part, or a period to compare with.
    package static func shownOfFunnel(_ report: JSONValue) -> [ReportTable] {
        let parts = parts(report)
        let hasParts = parts.contains { !$0.isEmpty }
        return parts + (!hasParts || report["previous"] != nil ? [steps(report)] : [])
    }

    private static func parts(_ report: JSONValue) -> [ReportTable] {
        [breakdown(report), trend(report), segments(report)].compactMap(\.self) + variants(report)
    }

    private static func steps(_ report: JSONValue) -> ReportTable {
        let steps = report["steps"]?.asArray ?? []
        let rows = steps.enumerated().map { i, step in
            var row = cells(step)
            row.append(.init("expected_conversions", i == steps.count - 1 ? report["expected_conversions"] ?? .null : .null))
            guard let previous = report["previous"] else { return row }
            row += [.init("previous_start", previous["start"] ?? .null), .init("previous_end", previous["end"] ?? .null)]
            for (part, prefix) in [(previous, "previous_"), (report["change"] ?? .null, "change_")] {
                let list = part["steps"]?.asArray ?? []
                let members = list.indices.contains(i) ? list[i].asObject ?? [] : []
                row += cells(.object(members.filter { $0.key != "step" && $0.key != "index" }), prefix: prefix)
            }
            return row
        }
        return ReportTable("steps", rows)
    }

    /// The rows add up to the whole.
    private static func breakdown(_ report: JSONValue) -> ReportTable? {
        guard let breakdown = report["breakdown"] else { return nil }
        var rows = (breakdown["rows"]?.asArray ?? []).map { row in
            named(row["value"], of: "value", values: row["value"] == .null ? nil : 1...1) + cells(row, without: ["value"])
        }
        if let other = breakdown["other"], other != .null {
            let range = other["values_range"]?.asArray?.compactMap(\.asInteger) ?? []
            let known = other["values"]?.asInteger ?? 0
            let values = range.count == 2 && range[0] <= range[1] ? range[0]...range[1] : known...known
            rows.append(named(nil, of: "other", values: values) + cells(other, without: ["values", "values_range"]))
        }
        return ReportTable("breakdown", rows)
    }

    /// - Parameters:
    ///   - row: what the row is; a row whose value is null has no value.
    ///   - values: the number of values, which may not be known exactly.
    private static func named(_ value: JSONValue?, of row: String, values: ClosedRange<Int64>? = nil) -> Row {
        [
            .init("row", .text(value == .null ? "no_value" : row)), .init("kind", .text(kind(value))), .init("value", value ?? .null),
        ]
            + (row == "value" || row == "other"
                ? [
                    .init("values_least", values.map { .integer($0.lowerBound) } ?? .null),
                    .init("values_most", values.map { .integer($0.upperBound) } ?? .null),
                ] : [])
    }

    private static func trend(_ report: JSONValue) -> ReportTable? {
        guard let trend = report["trend"] else { return nil }
        let counts = (report["steps"]?.asArray ?? []).indices.map { ByteString("step_\($0 + 1)_count") }
        return ReportTable(
            "trend", (trend["buckets"]?.asArray ?? []).map { cells($0) },
            columns: ["start", "end", "immature", "entered", "converted", "conversion"] + counts)
    }

    /// Behind the whole, which they need not add up to.
    private static func segments(_ report: JSONValue) -> ReportTable? {
        guard let segments = report["segments"]?.asArray else { return nil }
        let keys: [ByteString] = [
            "entered", "converted", "conversion", "conversion_ci", "steps", "biggest_dropoff", "expected_conversions",
        ]
        let whole = JSONValue.object(keys.map { .init($0, report[$0] ?? .null) })
        let head: Row = [.init("row", "whole"), .init("name", .null)]
        return ReportTable(
            "segments", [head + cells(whole)] + segments.map { [.init("row", "segment")] + cells($0, without: ["times"]) })
    }

    private static func variants(_ report: JSONValue) -> [ReportTable] {
        guard let variants = report["variants"] else { return [] }
        if let funnels = variants["funnels"]?.asArray {
            let pairs = cells(variants["table"] ?? .null) + cells(variants["paired"] ?? .null)
            return [
                ReportTable("funnels", funnels.map { cells($0, without: ["funnel", "rules"]) }), ReportTable("paired", [pairs]),
            ]
        }
        let shares = variants["sample_ratio"]?["expected"]?.asArray ?? []
        let whole: Row = [
            .init("sample_ratio_p_value", variants["sample_ratio"]?["p_value"] ?? .null),
            .init("several_values", variants["several_values"] ?? .null), .init("immature", variants["immature"] ?? .null),
        ]
        var rows = (variants["groups"]?.asArray ?? []).enumerated().map { i, group in
            let share = shares.indices.contains(i) ? shares[i]["share"] : nil
            return named(group["value"], of: "variant") + cells(group, without: ["value", "comparison"])
                + cells(group["comparison"] ?? .null) + [.init("planned_share", share ?? .null)] + whole
        }
        rows.append(named(.null, of: "variant") + cells(variants["without_value"] ?? .null) + whole)
        return [ReportTable("variants", rows)]
    }

    // MARK: Cells

    /// The kind of a value; empty is no value.
    static func kind(_ value: JSONValue?) -> String {
        switch value {
        case .string?: "text"
        case .integer?, .double?: "number"
        case .bool?: "boolean"
        default: ""
        }
    }

    /// The members of an object, those of objects and steps in it beside them; an interval is two cells.
    static func cells(_ object: JSONValue, without left: Set<ByteString> = [], prefix: String = "") -> Row {
        (object.asObject ?? []).filter { !left.contains($0.key) }.flatMap { member -> Row in
            let key = prefix + member.key.string
            if key.hasSuffix("_ci") {
                let bounds = member.value.asArray ?? []
                return ["_low", "_high"].enumerated().map { .init(ByteString(key + $1), bounds.count == 2 ? bounds[$0] : .null) }
            }
            if member.key == "steps", let steps = member.value.asArray {
                return steps.enumerated().flatMap { cells($1, without: ["step", "index"], prefix: "\(prefix)step_\($0 + 1)_") }
            }
            if member.value.asObject != nil { return cells(member.value, prefix: key + "_") }
            return [.init(ByteString(key), member.value)]
        }
    }
}
