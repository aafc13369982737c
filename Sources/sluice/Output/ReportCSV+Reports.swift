import FunnelModel

/// The reports that have commands of their own.
extension ReportCSV {
    /// Two tables: the first events, with a row for the users who did nothing more, and the paths.
    static func paths(_ report: JSONValue) -> String {
        var next = (report["next"]?.asArray ?? []).map { row -> Row in
            [.init("row", row["event"] == .null ? "no_event" : "event")] + cells(row)
        }
        next += rest(report["next_other"])
        let length = Int(report["length"]?.asInteger ?? 0)
        var paths = (report["paths"]?.asArray ?? []).map { row -> Row in
            let events = row["events"]?.asArray ?? []
            let columns = (0..<length).map { i in
                JSONValue.Member(ByteString("event_\(i + 1)"), i < events.count ? events[i] : .null)
            }
            return [.init("row", "path")] + columns + cells(row, without: ["events"])
        }
        paths += rest(report["other"])
        return text(tables: [next, paths])
    }

    /// The row of what a list does not show.
    private static func rest(_ other: JSONValue?) -> [Row] {
        guard let other, other != .null else { return [] }
        return [[.init("row", "other")] + cells(other)]
    }

    /// A row for each predictor.
    static func predictors(_ report: JSONValue) -> String {
        let rows = (report["predictors"]?.asArray ?? []).map { row -> Row in
            let isEvent = row["event"] != nil
            return [
                .init("row", isEvent ? "event" : "property"), .init("event", row["event"] ?? .null),
                .init("property", row["property"] ?? .null), .init("kind", .text(isEvent ? "" : ValueText.kind(row["value"]))),
                .init("value", row["value"] ?? .null),
            ] + cells(row, without: ["event", "property", "value"])
        }
        return text(tables: [rows])
    }

    /// Two tables: the summary, and the bars of the histogram.
    static func times(_ report: JSONValue) -> String {
        let summary = cells(report, without: ["funnel", "rules", "histogram", "completeness"])
        return text(tables: [[summary], (report["histogram"]?.asArray ?? []).map { cells($0) }])
    }
}
