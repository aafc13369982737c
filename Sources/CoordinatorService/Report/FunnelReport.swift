import FunnelModel

/// The report of a query. Fields and formulas: `Protocol/FUNNEL.md` section 6.
struct FunnelReport: Sendable {
    var definition: FunnelDefinition
    var asOf: Int64
    var result: PartialResult
    var completeness: Completeness
    var breakdown: BreakdownReport?
    var trend: TrendReport?
    var segments: [(name: ByteString, figures: FunnelFigures)] = []
    var previous: PreviousPeriod?
    var variants: JSONValue?

    static let segmentsNote = "segments may overlap and are not tested against each other"

    init(definition: FunnelDefinition, asOf: Int64, result: PartialResult, completeness: Completeness) {
        self.definition = definition
        self.asOf = asOf
        self.result = result
        self.completeness = completeness
    }

    private var figures: FunnelFigures { FunnelFigures(definition: definition, result: result) }

    var json: JSONValue {
        var members: [JSONValue.Member] = [
            .init("funnel", definition.json), .init("rules", .text(definition.rules)), .init("as_of", .text(Timestamp.format(asOf))),
        ]
        if definition.order == .any { members.append(.init("order", "any")) }
        members += figures.members + [.init("completeness", completeness.json)]
        if let breakdown { members.append(.init("breakdown", breakdown.json)) }
        if let trend { members.append(.init("trend", trend.json)) }
        if !segments.isEmpty {
            let list = segments.map { JSONValue.object([.init("name", .string($0.name))] + $0.figures.members) }
            members += [.init("segments", .array(list)), .init("segments_note", .text(Self.segmentsNote))]
        }
        members += previous?.members ?? []
        if let variants { members.append(.init("variants", variants)) }
        return .object(members)
    }

    /// The answer of `GET /funnel-performance`.
    var performanceJSON: JSONValue {
        ["steps": figures.steps, "funnel_id": definition.id.map { .string($0) } ?? .null, "completeness": completeness.json]
    }
}

/// All figures of one funnel over some users.
package struct FunnelFigures: Sendable {
    private let definition: FunnelDefinition
    private let result: PartialResult

    package init(definition: FunnelDefinition, result: PartialResult) {
        self.definition = definition
        self.result = result
    }

    private var rows: CountRows { CountRows(definition, result.counts) }

    package var members: [JSONValue.Member] {
        rows.head + [
            .init("steps", steps), .init("biggest_dropoff", biggestDropoff), .init("expected_conversions", .number(expectedConversions)),
            .init("times", .text(timesForm)),
        ]
    }

    var steps: JSONValue { .array(result.counts.indices.map(step)) }

    private var timesForm: String {
        if result.fromFirst.isEmpty { return "none" }
        return (result.fromFirst + result.fromPrevious).allSatisfy(\.isExact) ? "exact" : "histogram"
    }

    private func step(_ i: Int) -> JSONValue {
        let rows = rows
        let count = rows.counts[i]
        let previous = rows.previous(i)
        let lost = rows.lost(i)
        var members: [JSONValue.Member] = [
            .init("step", .string(definition.steps[i].name)), .init("index", .count(i + 1)), .init("count", rows.json(count)),
            .init("dropoff", rows.json(lost)), .init("open", rows.json(stillOpen(i))),
            .init("dropout_rate", CountRows.rate(lost, of: previous, scale: 100)),
            .init("dropout_rate_ci", rows.interval(lost, of: previous, scale: 100)),
        ]
        func add(_ name: String, _ successes: UInt64?, of trials: UInt64?) {
            members.append(.init(ByteString(name), CountRows.rate(successes, of: trials)))
            members.append(.init(ByteString(name + "_ci"), rows.interval(successes, of: trials)))
        }
        // Converted users of an optional step are not counted.
        add("conversion_rate", rows.isOptional(i) ? nil : rows.converted, of: count)
        add("conversion_from_first", count, of: rows.entered)
        add("conversion_from_previous", count, of: previous)
        if !result.fromFirst.isEmpty {
            addTimes(i == 0 ? stepOne : result.fromFirst[i], suffix: "", to: &members)
            addTimes(i == 0 ? nil : (i == 1 ? result.fromFirst : result.fromPrevious)[i], suffix: "_from_previous", to: &members)
        }
        return .object(members)
    }

    /// Users lost before step `i` who can still convert; nil for steps at which nobody can be lost, and unless users are counted.
    private func stillOpen(_ i: Int) -> UInt64? {
        guard definition.countBy == .users, rows.lost(i) != nil, let stillOpen = result.stillOpen else { return nil }
        // They reached the nearest required step before, and maybe optional ones between.
        let previous = (0..<i).last { !rows.isOptional($0) } ?? 0
        return stillOpen[previous..<i].reduce(0, +)
    }

    /// The times of step 1 are all 0, so one entry is enough.
    private var stepOne: TimeSummary? { rows.entered > 0 ? TimeSummary(count: 1, sum: 0, values: .exact([[0]])) : nil }

    private func addTimes(_ times: TimeSummary?, suffix: String, to members: inout [JSONValue.Member]) {
        func seconds(_ ticks: Double?) -> JSONValue { .number(ticks.map { $0 * Double(definition.clock.tick.count) / 1e6 }) }
        members.append(.init(ByteString("median_seconds" + suffix), seconds(times?.median)))
        members.append(.init(ByteString("average_seconds" + suffix), seconds(times?.mean)))
        members.append(.init(ByteString("p90_seconds" + suffix), seconds(times?.percentile(90))))
    }

    /// The required step with the most users lost before it; the earlier one on ties.
    private var biggestDropoff: JSONValue {
        var worst: (index: Int, users: UInt64)?
        for i in result.counts.indices {
            if let lost = rows.lost(i), lost > worst?.users ?? 0 { worst = (i, lost) }
        }
        guard let worst else { return .null }
        return [
            "step": .string(definition.steps[worst.index].name), "index": .count(worst.index + 1), "users": .integer(Int64(worst.users)),
        ]
    }

    /// Converted users, and those who still can, weighted by the probability of the step they are at. Nil unless users are counted.
    private var expectedConversions: Double? {
        guard definition.countBy == .users else { return nil }
        return zip(result.open, definition.probability).reduce(Double(rows.converted)) { $0 + Double($1.0) * $1.1 }
    }
}
