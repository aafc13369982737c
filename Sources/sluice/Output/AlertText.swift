import FunnelModel
import ServiceRuntime

/// Alert rules and dry runs as text.
enum AlertText {
    /// A rule, its state, and a line for each value that is not ok.
    static func lines(of rule: JSONValue) -> [String] {
        func text(_ value: JSONValue?) -> String { (value?.asString?.string ?? "").printable }
        let state = rule["state"]
        let kind = text(rule["metric"]?["kind"])
        let until = rule["mute_until"]?.asString.flatMap { try? Timestamp.parse($0) }
        let mute = until.map { $0 > WallClock.now() ? "; muted until \(Timestamp.format($0 / 1_000_000 * 1_000_000))" : "" } ?? ""
        let silent = rule["channels"]?.asArray?.isEmpty == true ? "; no channels" : ""
        let head = "\(text(rule["id"])): \(text(state?["status"])); \(kind) of \(text(rule["funnel_id"]))\(mute)\(silent)"
        let reason = state?["reason"]?.asString.map { ["  It \($0.string).".printable] } ?? []
        let groups = (state?["groups"]?.asArray ?? []).filter { $0["status"]?.asString?.string != "ok" }
        return [head] + reason + groups.map { "  " + line($0, time: $0["since"], kind: $0["status"]) }
    }

    /// Names the alert rules that are not evaluated any more, after something that they name was deleted.
    static func warn(_ client: HTTPClient, _ gone: String, _ names: (JSONValue) -> Bool) async throws {
        let rules = try JSONParser.parse(try await client.call("GET", "/v1/alerts"))["alerts"]?.asArray ?? []
        let ids = rules.filter(names).compactMap { $0["id"]?.asString?.string }
        guard !ids.isEmpty else { return }
        Terminal.note("not evaluated any more, since they name \(gone): \(ids.joined(separator: ", "))".printable)
    }

    /// One entry of a history, or one value of a state.
    static func line(_ entry: JSONValue, time: JSONValue?, kind: JSONValue? = nil) -> String {
        func text(_ value: JSONValue?) -> String { value?.asString?.string ?? "" }
        return "\(text(time)) \(text(kind ?? entry["kind"])): \(text(entry["text"]))".printable
    }

    private static let columns = 72
    private static let bars = Array(" ▁▂▃▄▅▆▇█")

    /// A summary, a chart of the metric for the whole or for the first value that fired, and the firings.
    static func dryRun(_ answer: JSONValue) -> [String] {
        let firings = answer["firings"]?.asArray ?? []
        let listed = answer["points"]?.asArray ?? []
        let group = firings.first?["group"] ?? listed.lazy.compactMap { $0["values"]?.asArray?.first?["group"] }.first ?? .null
        let points = listed.map { point in
            Column(
                start: point["start"]?.asString?.string ?? "", end: point["end"]?.asString?.string ?? "",
                value: point["values"]?.asArray?.first { $0["group"] == group }?["value"]?.asDouble)
        }
        let text = (answer["text"]?.asString?.string ?? "").printable
        return [text] + chart(points, firings.filter { $0["group"] == group }, group)
            + firings.map { firing in
                let end = firing["end"]?.asString.map { " to \($0.string)" } ?? ", and still does"
                return "\(firing["start"]?.asString?.string ?? "")\(end): \(firing["text"]?.asString?.string ?? "")".printable
            }
    }

    /// A period of the chart. RFC 3339 in UTC sorts as text.
    private struct Column {
        var start: String
        var end: String
        var value: Double?

        /// A firing begins with the end of the first period that met the condition, and ends with that of the first that did not.
        func fires(_ firing: JSONValue) -> Bool {
            (firing["start"]?.asString?.string ?? "~") <= end && end < (firing["end"]?.asString?.string ?? "~")
        }
    }

    private static func chart(_ points: [Column], _ firings: [JSONValue], _ group: JSONValue) -> [String] {
        guard points.count > 1, let most = points.compactMap(\.value).max(), most > 0 else { return [] }
        let share = (points.count + columns - 1) / columns
        let parts = stride(from: 0, to: points.count, by: share).map { points[$0..<min(points.count, $0 + share)] }
        var line = ""
        var marks = ""
        for part in parts {
            let values = part.compactMap(\.value)
            let mean = values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
            line.append(mean.map { bars[min(bars.count - 1, Int(($0 / most * Double(bars.count - 1)).rounded()))] } ?? "·")
            marks.append(part.contains { column in firings.contains { column.fires($0) } } ? "▲" : " ")
        }
        let name = group.asString.map { " of \($0.string)".printable } ?? ""
        let shown = share == 1 ? "a period" : "\(share) periods"
        return ["", line] + (firings.isEmpty ? [] : [marks])
            + ["\(points[0].start.printable): \(shown) a column\(name); the highest column is \(decimal(most))", ""]
    }

    private static func decimal(_ value: Double) -> String {
        let scaled = (value * 1_000).rounded() / 1_000
        return scaled == scaled.rounded() && abs(scaled) < 1e15 ? "\(Int64(scaled))" : "\(scaled)"
    }
}
