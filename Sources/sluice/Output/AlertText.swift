import FunnelModel

/// Alert rules and dry runs as text.
enum AlertText {
    /// A rule, its state, and a line for each value that is not ok.
    static func lines(of rule: JSONValue) -> [String] {
        func text(_ value: JSONValue?) -> String { (value?.asString?.string ?? "").printable }
        let state = rule["state"]
        let kind = text(rule["metric"]?["kind"])
        let mute = rule["mute_until"].map { "; muted until \(text($0))" } ?? ""
        let head = "\(text(rule["id"])): \(text(state?["status"])); \(kind) of \(text(rule["funnel_id"]))\(mute)"
        let reason = state?["reason"]?.asString.map { ["  It \($0.string).".printable] } ?? []
        let groups = (state?["groups"]?.asArray ?? []).filter { $0["status"]?.asString?.string != "ok" }
        return [head] + reason + groups.map { "  " + line($0, time: $0["since"], kind: $0["status"]) }
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
        let group = firings.first?["group"] ?? .null
        let points = (answer["points"]?.asArray ?? []).map { point -> (start: String, value: Double?) in
            let found = point["values"]?.asArray?.first { $0["group"] == group }
            return (point["start"]?.asString?.string ?? "", found?["value"]?.asDouble)
        }
        let text = (answer["text"]?.asString?.string ?? "").printable
        return [text] + chart(points, firings.filter { $0["group"] == group }, group)
            + firings.map { firing in
                let end = firing["end"]?.asString.map { " to \($0.string)" } ?? ", and still does"
                return "\(firing["start"]?.asString?.string ?? "")\(end): \(firing["text"]?.asString?.string ?? "")".printable
            }
    }

    private static func chart(_ points: [(start: String, value: Double?)], _ firings: [JSONValue], _ group: JSONValue) -> [String] {
        guard points.count > 1, let most = points.compactMap(\.value).max(), most > 0 else { return [] }
        let share = (points.count + columns - 1) / columns
        let parts = stride(from: 0, to: points.count, by: share).map { points[$0..<min(points.count, $0 + share)] }
        var line = ""
        var marks = ""
        for part in parts {
            let values = part.compactMap(\.value)
            let mean = values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
            line.append(mean.map { bars[min(bars.count - 1, Int(($0 / most * Double(bars.count - 1)).rounded()))] } ?? "·")
            let (first, last) = (part.first?.start ?? "", part.last?.start ?? "")
            // A firing begins with the end of the period that met the condition; RFC 3339 in UTC sorts as text.
            let fires = firings.contains { firing in
                let (start, end) = (firing["start"]?.asString?.string ?? "", firing["end"]?.asString?.string ?? "~")
                return start <= last || start == first ? end > first : false
            }
            marks.append(fires ? "▲" : " ")
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
