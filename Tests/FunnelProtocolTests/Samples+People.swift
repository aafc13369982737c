import FunnelModel
import FunnelProtocol

extension Samples {
    static let peopleResults: [Sample] = {
        func result(_ name: String, _ report: PartialResult.Report, counts: [UInt64], open: [UInt64]? = nil) -> Sample {
            var result = reporting(report, counts: counts)
            result.open = open ?? result.open
            result.stillOpen = open
            return Sample(name: name, kind: .partialResult, message: .partialResult(result))
        }
        let exact = StepTimes(times: TimeSummary(count: 2, sum: 65, values: .exact([[5, 60]])), range: 5...60, skipped: 1)
        let rough = TimeSummary(count: 70_000, sum: 1 << 70, values: .histogram([.init(0, count: 1), .init(300, count: 69_999)]))
        return [
            result("times between two steps", .between(exact), counts: [5, 3]),
            result("a histogram between two steps", .between(StepTimes(times: rough, range: 0...345)), counts: [70_000, 70_000]),
            result("no times between two steps", .between(StepTimes()), counts: [5, 0]),
            result("a user who converted", .explain(converted), counts: [1, 1]),
            result("a user who dropped", .explain(dropped), counts: [1, 0]),
            result("a user who dropped, none of whose attempts can go on", .explain(dropped), counts: [1, 0], open: [0, 0]),
            result("a user who can still go on", .explain(open), counts: [1, 0], open: [1, 0]),
            result("a user who never entered", .explain(outside), counts: [0, 0]),
            result("a user outside the cohort", .explain(stranger), counts: [0, 0]),
            result("an unknown user", .explain(nil), counts: [0, 0]),
        ]
    }()

    private static let time: Int64 = 1_710_892_800_000_000

    private static let converted: UserExplanation = {
        var found = UserExplanation()
        found.depth = 2
        found.chosen = [
            .init(position: 0, moment: .init("view", time), properties: []),
            .init(
                position: 1, moment: .init("buy", time + 5_000_000),
                properties: [.init("n", .integer(3)), .init("x", .double(0.5)), .init("y", .bool(true)), .init("z", .string("a"))]),
        ]
        found.attemptsInAll = 300
        found.attempts = [
            .init(time: time - 9_000_000, depth: 1, took: 0, notChosen: .shallower),
            .init(time: time + 1, depth: 2, took: 3_600, notChosen: .slower),
        ]
        found.eventsInAll = 2
        found.events = found.chosen.map { .init(moment: $0.moment, positions: 1 << UInt64($0.position)) }
        return found
    }()

    private static let dropped: UserExplanation = {
        var found = UserExplanation()
        found.depth = 1
        found.chosen = [.init(position: 0, moment: .init("view", time), properties: [])]
        var miss = UserExplanation.Miss(position: 1, reason: .excluded, candidate: .init("buy", time + 9))
        miss.blocker = .init("refund", time + 8)
        miss.property = "plan"
        miss.distance = 240_000_000
        found.stopped = miss
        found.eventsInAll = 1_000
        found.events = [.init(moment: .init("view", time), positions: 1 << 63 | 1)]
        return found
    }()

    private static let open: UserExplanation = {
        var found = dropped
        found.openUntil = time + 2_678_400_000_000
        return found
    }()

    private static let outside: UserExplanation = {
        var found = UserExplanation()
        found.stopped = .init(position: 0, reason: .noEvent)
        found.eventsInAll = 1
        found.events = [.init(moment: .init("other", 0), positions: 0)]
        return found
    }()

    private static let stranger: UserExplanation = {
        var found = outside
        found.stopped = .init(position: 0, reason: .notInCohort)
        return found
    }()

    static let discoveries: [Sample] = [
        Sample(name: "events asked", kind: .discoveryQuery, context: asked, message: .discoveryQuery(.events(prefix: "a"))),
        Sample(name: "properties asked", kind: .discoveryQuery, context: asked, message: .discoveryQuery(.properties(event: ""))),
        Sample(
            name: "values asked", kind: .discoveryQuery, context: asked,
            message: .discoveryQuery(.values(property: "plan", event: "buy", prefix: "p"))),
        Sample(
            name: "events", kind: .discoveryResult,
            message: .discoveryResult(
                .events(["buy": EventRows(rows: 300, times: time...(time + 1)), "add": EventRows(rows: 1, times: 0...0)]))),
        Sample(
            name: "properties", kind: .discoveryResult,
            message: .discoveryResult(.properties(["plan": PropertyRows(strings: 300, booleans: 1), "n": PropertyRows(numbers: 2)]))),
        Sample(
            name: "values", kind: .discoveryResult,
            message: .discoveryResult(.values(values(isTruncated: false)))),
        Sample(
            name: "more values than can be told apart", kind: .discoveryResult,
            message: .discoveryResult(.values(values(isTruncated: true)))),
        Sample(name: "totals asked", kind: .discoveryQuery, context: asked, message: .discoveryQuery(.totals)),
        Sample(name: "totals", kind: .discoveryResult, message: .discoveryResult(.totals(totals))),
        Sample(name: "totals of nothing", kind: .discoveryResult, message: .discoveryResult(.totals(ProjectTotals()))),
        Sample(name: "names asked", kind: .discoveryQuery, context: asked, message: .discoveryQuery(.names)),
        Sample(name: "names", kind: .discoveryResult, message: .discoveryResult(.names(names))),
    ]

    private static let totals: ProjectTotals = {
        var totals = ProjectTotals()
        totals.rows = 300
        totals.unsealedRows = 20
        totals.segments = 2
        totals.users = 129
        totals.taken = 1 << 33
        totals.newestTime = time
        return totals
    }()

    private static let names: ProjectNames = {
        var names = ProjectNames()
        names.events = ["view", "buy", "caf\u{E9}"]
        names.properties = ["plan"]
        (names.eventsMax, names.propertiesMax) = (10_000, 2_000)
        names.damaged = ["seg-7: another checksum"]
        names.tornBytes = 300
        return names
    }()

    private static func values(isTruncated: Bool) -> ValueRows {
        var found = ValueRows(isTruncated: isTruncated)
        for value: PropertyValue in [.string("pro"), .integer(1), .string("1"), .double(0.5), .bool(true)] { found.add(value, rows: 300) }
        return found
    }
}
