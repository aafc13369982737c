import FunnelModel

/// How long users took from one step to another. Fields: `Protocol/FUNNEL.md` section 6.
struct TimesReport: Sendable {
    var definition: FunnelDefinition
    var asOf: Int64
    /// Numbers from 1.
    var from: Int
    var to: Int
    var times: StepTimes
    /// Max bars of the histogram.
    var bins: Int
    var completeness: Completeness

    var json: JSONValue {
        let summary = times.times
        let bars = DurationBars(times, bins: bins, tick: UInt64(definition.clock.tick.count))
        return [
            "funnel": definition.json, "rules": .text(definition.rules), "as_of": .text(Timestamp.format(asOf)),
            "from": .count(from), "to": .count(to), "users": .integer(Int64(summary.count)), "skipped": .integer(Int64(times.skipped)),
            "median_seconds": seconds(summary.median), "average_seconds": seconds(summary.mean),
            "p90_seconds": seconds(summary.percentile(90)), "p99_seconds": seconds(summary.percentile(99)),
            "min": seconds(times.range?.lowerBound), "max": seconds(times.range?.upperBound),
            "times": summary.isExact ? "exact" : "histogram", "scale": bars.map { .text($0.scale.rawValue) } ?? .null,
            "approximate": .bool(!summary.isExact), "histogram": .array(bars?.bars(of: summary).map(bar) ?? []),
            "completeness": completeness.json,
        ]
    }

    private func bar(_ bar: (from: UInt64, to: UInt64?, users: UInt64)) -> JSONValue {
        ["from_seconds": seconds(bar.from), "to_seconds": seconds(bar.to), "users": .integer(Int64(bar.users))]
    }

    private func seconds(_ ticks: UInt64?) -> JSONValue { seconds(ticks.map { Double($0) }) }

    private func seconds(_ ticks: Double?) -> JSONValue { .number(ticks.map { $0 * Double(definition.clock.tick.count) / 1e6 }) }
}
