import FunnelModel

/// How long users took between two steps: a summary, and a line with a bar for each bar of the histogram.
struct TimesTable {
    private let report: JSONValue
    private static let barWidth = 24

    init(_ report: JSONValue) { self.report = report }

    var text: String {
        let users = integer("users")
        let skipped = integer("skipped")
        var lines = [
            "\(Terminal.count(users, "user")) went from step \(step("from")) to step \(step("to")),"
                + " as of \(FunnelTable.text(report["as_of"]))"
        ]
        if skipped > 0 { lines.append("\(Terminal.count(skipped, "user")) skipped one of the two steps, and have no time") }
        if users > 0 {
            lines += [figures, ""] + bars
            if report["approximate"] == true {
                lines += ["", "more than 65,536 times on a shard: the median and the percentiles are within 1 %"]
            }
        }
        return (lines + PartialAnswer.lines(report)).joined(separator: "\n")
    }

    private var figures: String {
        let fields: [(String, ByteString)] = [
            ("median", "median_seconds"), ("average", "average_seconds"), ("p90", "p90_seconds"), ("p99", "p99_seconds"), ("min", "min"),
            ("max", "max"),
        ]
        return fields.map { "\($0) \(Self.duration(report[$1]?.asDouble))" }.joined(separator: ", ")
    }

    private var bars: [String] {
        let users = max(1, integer("users"))
        let rows = (report["histogram"]?.asArray ?? []).map { bar in
            (
                from: Self.duration(bar["from_seconds"]?.asDouble),
                to: bar["to_seconds"]?.asDouble.map { Self.duration($0) } ?? "", users: Int(bar["users"]?.asInteger ?? 0)
            )
        }
        return ["\(Self.pad("from", 9)) \(Self.pad("to", 9))  \(String(repeating: " ", count: Self.barWidth)) \(Self.pad("users", 10))"]
            + rows.map { row in
                let share = Double(row.users) / Double(users)
                let bar = Bar.text(share, width: Self.barWidth)
                let number = Self.pad(Terminal.number(row.users), 10)
                let percent = Self.pad("\(FunnelTable.decimal(share * 100)) %", 8)
                return "\(Self.pad(row.from, 9)) \(Self.pad(row.to, 9))  \(bar) \(number) \(percent)"
            }
    }

    /// The number and the name of a step.
    private func step(_ key: ByteString) -> String {
        let number = integer(key)
        let steps = report["funnel"]?["steps"]?.asArray ?? []
        guard steps.indices.contains(number - 1) else { return "\(number)" }
        let step = steps[number - 1]
        return "\(number) (\(FunnelTable.text(step.asString == nil ? step["name"] : step)))"
    }

    private func integer(_ key: ByteString) -> Int { Int(report[key]?.asInteger ?? 0) }

    /// In the largest unit that it fills, with one digit behind the point unless that is 0.
    private static func duration(_ seconds: Double?) -> String {
        guard let seconds else { return "–" }
        let units = [("d", 86_400.0), ("h", 3_600), ("min", 60), ("s", 1), ("ms", 0.001)]
        let (unit, size) = units.first { seconds >= $0.1 } ?? (seconds == 0 ? ("s", 1) : ("us", 0.000_001))
        let text = FunnelTable.decimal(seconds / size)
        return "\(text.hasSuffix(".0") ? String(text.dropLast(2)) : text) \(unit)"
    }

    private static func pad(_ text: String, _ width: Int) -> String { String(repeating: " ", count: max(0, width - text.count)) + text }
}
