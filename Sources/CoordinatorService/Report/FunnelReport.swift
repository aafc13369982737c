import FunnelModel

/// A merged answer as operators see it. Fields and formulas: `Protocol/FUNNEL.md`, section 6.
struct FunnelReport: Sendable {
    var definition: FunnelDefinition
    var asOf: Int64
    var result: PartialResult
    var completeness: Completeness
    var breakdown: BreakdownReport?
    var trend: TrendReport?

    private var counts: [UInt64] { result.counts }
    private var last: UInt64 { counts[counts.count - 1] }

    var json: JSONValue {
        var members = whole.asObject ?? []
        if let breakdown { members.append(.init("breakdown", breakdown.json)) }
        if let trend { members.append(.init("trend", trend.json)) }
        return .object(members)
    }

    private var whole: JSONValue {
        [
            "funnel": definition.json, "rules": .text(definition.rules), "as_of": .text(Timestamp.format(asOf)),
            "entered": .integer(Int64(counts[0])), "converted": .integer(Int64(last)),
            "conversion": .number(Rate.of(last, counts[0])), "conversion_ci": Rate.interval(last, of: counts[0]),
            "steps": .array(counts.indices.map(step)), "biggest_dropoff": biggestDropoff,
            "expected_conversions": .number(expectedConversions), "times": .text(timesForm),
            "completeness": completeness.json,
        ]
    }

    /// The answer of `GET /funnel-performance`.
    var performanceJSON: JSONValue {
        ["steps": .array(counts.indices.map(step)), "funnel_id": definition.id.map { .string($0) } ?? .null, "completeness": completeness.json]
    }

    private var timesForm: String {
        if result.fromFirst.isEmpty { return "none" }
        return (result.fromFirst + result.fromPrevious).allSatisfy(\.isExact) ? "exact" : "histogram"
    }

    private func step(_ i: Int) -> JSONValue {
        let count = counts[i]
        let previous = i > 0 ? counts[i - 1] : 0
        var members: [JSONValue.Member] = [
            .init("step", .string(definition.steps[i].name)), .init("index", .count(i + 1)), .init("count", .integer(Int64(count))),
            .init("dropoff", i == 0 ? .null : .integer(Int64(previous - count))),
            .init("dropout_rate", i == 0 ? .null : .number(Rate.of(100 * (previous - count), previous))),
            .init("dropout_rate_ci", i == 0 ? .null : Rate.interval(previous - count, of: previous, scale: 100)),
        ]
        func add(_ name: String, _ successes: UInt64, of trials: UInt64, isNull: Bool = false) {
            members.append(.init(ByteString(name), isNull ? .null : .number(Rate.of(successes, trials))))
            members.append(.init(ByteString(name + "_ci"), isNull ? .null : Rate.interval(successes, of: trials)))
        }
        add("conversion_rate", last, of: count)
        add("conversion_from_first", count, of: counts[0])
        add("conversion_from_previous", count, of: previous, isNull: i == 0)
        if !result.fromFirst.isEmpty {
            addTimes(i == 0 ? stepOne : result.fromFirst[i], suffix: "", to: &members)
            addTimes(i == 0 ? nil : (i == 1 ? result.fromFirst : result.fromPrevious)[i], suffix: "_from_previous", to: &members)
        }
        return .object(members)
    }

    /// Step 1 takes no time: one user's tells everyone's.
    private var stepOne: TimeSummary? { counts[0] > 0 ? TimeSummary(count: 1, sum: 0, values: .exact([[0]])) : nil }

    private func addTimes(_ times: TimeSummary?, suffix: String, to members: inout [JSONValue.Member]) {
        func seconds(_ ticks: Double?) -> JSONValue { .number(ticks.map { $0 * Double(definition.clock.tick) / 1e6 }) }
        members.append(.init(ByteString("median_seconds" + suffix), seconds(times?.median)))
        members.append(.init(ByteString("average_seconds" + suffix), seconds(times?.mean)))
        members.append(.init(ByteString("p90_seconds" + suffix), seconds(times?.percentile(90))))
    }

    /// The step that most users did not reach from the one before it; ties go to the earlier.
    private var biggestDropoff: JSONValue {
        var worst: (index: Int, users: UInt64)?
        for i in counts.indices.dropFirst() where counts[i - 1] - counts[i] > worst?.users ?? 0 {
            worst = (i, counts[i - 1] - counts[i])
        }
        guard let worst else { return .null }
        return ["step": .string(definition.steps[worst.index].name), "index": .count(worst.index + 1), "users": .integer(Int64(worst.users))]
    }

    /// Converted, and of the rest those who still can, each by the probability of the step they are at.
    private var expectedConversions: Double {
        zip(result.open, definition.probability).reduce(Double(last)) { $0 + Double($1.0) * $1.1 }
    }
}
