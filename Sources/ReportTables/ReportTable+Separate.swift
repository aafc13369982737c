import FunnelModel

/// The reports that have paths and commands of their own.
extension ReportTable {
    /// `next`, the first events, with a row for the users who did nothing more; and `paths`.
    package static func paths(_ report: JSONValue) -> [ReportTable] {
        var next = (report["next"]?.asArray ?? []).map { row -> Row in
            [.init("row", row["event"] == .null ? "no_event" : "event")] + cells(row)
        }
        next += rest(report["next_other"])
        // A path has at most `Limits.pathLength` events; another length is no report of ours.
        let length = min(max(0, Int(report["length"]?.asInteger ?? 0)), Limits.pathLength)
        let names = (0..<length).map { ByteString("event_\($0 + 1)") }
        var paths = (report["paths"]?.asArray ?? []).map { row -> Row in
            let events = row["events"]?.asArray ?? []
            let columns = names.enumerated().map { JSONValue.Member($1, $0 < events.count ? events[$0] : .null) }
            return [.init("row", "path")] + columns + cells(row, without: ["events"])
        }
        paths += rest(report["other"])
        return [ReportTable("next", next), ReportTable("paths", paths, columns: ["row"] + names + ["users", "share"])]
    }

    /// The row of what a list does not show.
    private static func rest(_ other: JSONValue?) -> [Row] {
        guard let other, other != .null else { return [] }
        return [[.init("row", "other")] + cells(other)]
    }

    /// `predictors`: a row for each.
    package static func predictors(_ report: JSONValue) -> [ReportTable] {
        let rows = (report["predictors"]?.asArray ?? []).map { row -> Row in
            let isEvent = row["event"] != nil
            return [
                .init("row", isEvent ? "event" : "property"), .init("event", row["event"] ?? .null),
                .init("property", row["property"] ?? .null), .init("kind", .text(isEvent ? "" : kind(row["value"]))),
                .init("value", row["value"] ?? .null),
            ] + cells(row, without: ["event", "property", "value"])
        }
        let columns: [ByteString] = [
            "row", "event", "property", "kind", "value", "with_users", "with_converted", "with_conversion", "without_users",
            "without_converted", "without_conversion", "lift", "lift_ci_low", "lift_ci_high", "direction", "p_value", "method", "q_value",
        ]
        return [ReportTable("predictors", rows, columns: columns)]
    }

    /// `summary`, one row, and `histogram`, its bars.
    package static func times(_ report: JSONValue) -> [ReportTable] {
        let summary = cells(report, without: ["funnel", "rules", "histogram", "completeness"])
        let bars = (report["histogram"]?.asArray ?? []).map { cells($0) }
        return [
            ReportTable("summary", [summary]), ReportTable("histogram", bars, columns: ["from_seconds", "to_seconds", "users"]),
        ]
    }

    /// `events` of one user, with the numbers of the steps that each can do; the `chosen` ones; `attempts`; and `summary`, one row.
    package static func explanation(_ report: JSONValue) -> [ReportTable] {
        let events = (report["events"]?.asArray ?? []).map { event -> Row in
            let steps = (event["steps"]?.asArray ?? []).compactMap { $0.asInteger.map { "\($0)" } }
            return cells(event, without: ["steps"]) + [.init("steps", .text(steps.joined(separator: " ")))]
        }
        // Names of properties are those of the data, and no columns.
        let chosen = (report["chosen"]?.asArray ?? []).map { event -> Row in
            let properties = String(decoding: (event["properties"] ?? [:]).encode(), as: UTF8.self)
            return cells(event, without: ["properties"]) + [.init("properties", .text(properties))]
        }
        let lists: Set<ByteString> = ["funnel", "rules", "completeness", "events", "chosen", "attempts", "stopped"]
        let stopped = ["step", "index", "reason", "text", "event", "time"].map {
            JSONValue.Member(ByteString("stopped_" + $0), report["stopped"]?[ByteString($0)] ?? .null)
        }
        return [
            ReportTable("events", events, columns: ["time", "event", "steps"]),
            ReportTable(
                "chosen", chosen,
                columns: ["step", "index", "event", "time", "seconds_from_first", "seconds_from_previous", "properties"]),
            ReportTable(
                "attempts", (report["attempts"]?.asArray ?? []).map { cells($0) }, columns: ["time", "depth", "seconds", "not_chosen"]),
            ReportTable("summary", [cells(report, without: lists) + stopped]),
        ]
    }

    /// `users`: their ids.
    package static func users(_ ids: some Sequence<ByteString>) -> ReportTable {
        ReportTable("users", ids.map { [.init("user_id", .string($0))] }, columns: ["user_id"])
    }
}
