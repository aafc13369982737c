import FunnelModel

/// What users did after a drop-off or between two steps, or what predicts a step, a line each with a bar.
struct PathsTable {
    private let report: JSONValue
    private static let barWidth = 24

    init(_ report: JSONValue) { self.report = report }

    var text: String {
        ((report["predictors"] == nil ? paths : predictors) + PartialAnswer.lines(report)).joined(separator: "\n")
    }

    private var paths: [String] {
        let from = report["from"]
        let between = from?["between"]?.asArray?.compactMap(\.asInteger).map(String.init) ?? []
        let what =
            between.isEmpty
            ? "dropped at step \(from?["dropped"]?.asInteger ?? 0); next they did:"
            : "went from step \(between.joined(separator: " to ")); first they did between them:"
        var lines = ["\(count(report["users"])) users \(what)"]
        lines += (report["next"]?.asArray ?? []).map { line($0["event"] == .null ? "(nothing more)" : ValueText.row($0["event"]), $0) }
        lines += rest(report["next_other"], "events")
        lines += ["", "paths" + (report["length"]?.asInteger.map { ", up to \($0) events" } ?? "") + ":"]
        for path in report["paths"]?.asArray ?? [] {
            let events = (path["events"]?.asArray ?? []).map { ValueText.row($0) }
            lines.append(line(events.isEmpty ? "(nothing more)" : events.joined(separator: " → "), path))
        }
        return lines + rest(report["other"], "paths")
    }

    private func line(_ name: String, _ row: JSONValue) -> String {
        let share = row["share"]?.asDouble ?? 0
        return "  \(Bar.text(share, width: Self.barWidth)) \(pad(count(row["users"]), 9)) \(pad(percent(share), 7))  \(name)"
    }

    private func rest(_ row: JSONValue?, _ what: ByteString) -> [String] {
        guard let row, row != .null else { return [] }
        return ["  \(count(row[what])) more, \(count(row["users"])) users"]
    }

    private var predictors: [String] {
        let step = report["step"]?.asInteger ?? 0
        var lines = [
            "\(count(report["converted"])) of \(count(report["users"])) users at step \(report["of"]?.asInteger ?? 0) reached step \(step)"
                + " (\(percent(report["conversion"]?.asDouble))); before it they did:",
            "  \(pad("with", 8)) \(pad("without", 8)) \(pad("lift", 10)) \(pad("q", 9))  what",
        ]
        for row in report["predictors"]?.asArray ?? [] {
            let name = row["event"].map { ValueText.row($0) } ?? "\(ValueText.row(row["property"])) = \(ValueText.row(row["value"]))"
            let lift = row["lift"]?.asDouble.map { FunnelTable.signed($0 * 100) + " %" } ?? "–"
            let q = row["q_value"]?.asDouble.map { $0 < 0.0001 ? "< 0.0001" : "\((($0 * 10_000).rounded()) / 10_000)" } ?? "–"
            let rates = [row["with"], row["without"]].map { pad(percent($0?["conversion"]?.asDouble), 8) }.joined(separator: " ")
            lines.append("  \(rates) \(pad(lift, 10)) \(pad(q, 9))  \(name)")
        }
        return lines + [
            "", "\(count(report["tested"])) were tested; q is the share of false finds among those as strong. None of it says why.",
        ]
    }

    private func count(_ value: JSONValue?) -> String { Terminal.number(Int(value?.asInteger ?? 0)) }

    private func percent(_ share: Double?) -> String { share.map { "\(FunnelTable.decimal($0 * 100)) %" } ?? "–" }

    private func pad(_ text: String, _ width: Int) -> String { String(repeating: " ", count: max(0, width - text.count)) + text }
}
