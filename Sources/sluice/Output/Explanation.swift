import FunnelModel

/// What a funnel makes of one user, as a timeline.
struct Explanation {
    private let report: JSONValue

    init(_ report: JSONValue) { self.report = report }

    var text: String {
        guard report["found"] == true else {
            return (["\(text("user_id")): no events of this user"] + PartialAnswer.lines(report)).joined(separator: "\n")
        }
        let chosen = report["chosen"]?.asArray ?? []
        let steps = report["funnel"]?["steps"]?.asArray?.count ?? 0
        var lines = [
            "\(text("user_id")): \(text("outcome").replacing("_", with: " ")), step \(report["depth"]?.asInteger ?? 0) of \(steps)"
        ]
        if let stopped = report["stopped"], stopped != .null {
            lines.append("step \(number(stopped, "index")) (\(text(stopped, "step"))) was not reached: \(text(stopped, "text"))")
        }
        lines.append("")
        // An event is known by its time and name; of several equal ones the first is marked.
        var marks = chosen.map { (key: "\(text($0, "time")) \(text($0, "event"))", mark: "● \(number($0, "index"))") }
        for event in report["events"]?.asArray ?? [] {
            let place = marks.firstIndex { $0.key == "\(text(event, "time")) \(text(event, "event"))" }
            let mark = place.map { marks.remove(at: $0).mark } ?? ""
            let fills = (event["steps"]?.asArray ?? []).compactMap(\.asInteger).map(String.init).joined(separator: ", ")
            lines.append(
                "\(pad(mark, 5)) \(pad(text(event, "time"), 28)) \(text(event, "event"))" + (fills.isEmpty ? "" : "  (fits \(fills))"))
        }
        let shown = report["events"]?.asArray?.count ?? 0
        let all = Int(report["events_total"]?.asInteger ?? 0)
        if shown < all { lines.append("… \(Terminal.number(all - shown)) more events") }
        let attempts = report["attempts"]?.asArray ?? []
        if !attempts.isEmpty { lines += ["", "other attempts:"] }
        for attempt in attempts {
            let why = text(attempt, "not_chosen")
            lines.append(
                "      \(pad(text(attempt, "time"), 28)) reached step \(number(attempt, "depth")); not chosen, because "
                    + (Self.notChosen[why] ?? why.replacing("_", with: " ")))
        }
        return (lines + PartialAnswer.lines(report)).joined(separator: "\n")
    }

    /// Why an attempt does not represent the user, in words.
    private static let notChosen = [
        "shallower": "another attempt got further", "fewer_optional_steps": "another attempt did more optional steps",
        "slower": "another attempt was faster", "later": "another attempt came earlier", "left_out": "an exclusion applies",
    ]

    private func text(_ key: ByteString) -> String { text(report, key) }

    private func text(_ value: JSONValue, _ key: ByteString) -> String { (value[key]?.asString?.string ?? "").printable }

    private func number(_ value: JSONValue, _ key: ByteString) -> String { String(value[key]?.asInteger ?? 0) }

    private func pad(_ text: String, _ width: Int) -> String { text + String(repeating: " ", count: max(0, width - text.columns)) }
}
