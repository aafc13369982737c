import EventRules
import FunnelModel
import TestSupport
import Testing

/// Random rules over random events, against the reference and against themselves.
struct RuleRandomTests {
    private static let rounds = max(500, TestCounts.histories / 50)

    @Test(arguments: 0..<4)
    func agreesWithTheReference(part: Int) throws {
        var random = SplitMix64(seed: 11 + UInt64(part))
        var (changed, dropped, rejected) = (0, 0, 0)
        for round in 0..<(Self.rounds / 4) {
            let rules = RandomEventRules.list(&random, EventRule.Kind.allCases)
            let events = RandomEventRules.events(&random)
            let ruled = RuleTables(rules).apply(to: EventBatchBuilder(events).finish())
            let reference = ReferenceRules(rules: rules.rules)
            var kept: [Event] = []
            var rows: [Int] = []
            for (row, event) in EventBatchBuilder(events).finish().events.enumerated() {
                switch reference.result(event) {
                case .kept(let event):
                    kept.append(event)
                    rows.append(row)
                case .dropped(let rule): #expect(ruled.dropped.contains { $0.row == row && $0.rule == rule }, "round \(round)")
                case .rejected: #expect(ruled.rejected.contains { $0.row == row }, "round \(round)")
                }
            }
            let before = EventBatchBuilder(events).finish().events
            #expect(ruled.batch.events == kept, "round \(round): \(String(decoding: rules.json.encode(), as: UTF8.self))")
            #expect(ruled.rows == rows)
            #expect(ruled.rows.count + ruled.dropped.count + ruled.rejected.count == events.count)
            #expect(ruled.changed == zip(rows, kept).filter { before[$0] != $1 }.map(\.0), "round \(round)")
            changed += ruled.changed.count
            dropped += ruled.dropped.count
            rejected += ruled.rejected.count
        }
        #expect(changed > Self.rounds / 4 && dropped > Self.rounds / 50 && rejected > 0, "\(changed), \(dropped), \(rejected)")
    }

    /// Rules whose results no rule changes: new names that no rule has, and no defaults of properties that are renamed or cast.
    @Test(arguments: [
        [EventRule.Kind.lowerCaseEvents, .dropEvents, .renameEvents, .dropProperties, .castProperties, .renameProperties],
        [.lowerCaseEvents, .dropEvents, .renameEvents, .dropProperties, .defaultProperty],
    ])
    func applyingTwiceIsApplyingOnce(kinds: [EventRule.Kind]) {
        var random = SplitMix64(seed: 21)
        var changed = 0
        for round in 0..<Self.rounds {
            var rules = RandomEventRules.list(&random, kinds)
            rules.rules = rules.rules.enumerated().map { i, rule in
                switch rule {
                case .renameEvents(let names, let match, _): .renameEvents(names, match, to: ByteString("7 \(i)"))
                case .renameProperties(let names, _, let events): .renameProperties(names, to: ByteString("7 \(i)"), events: events)
                default: rule
                }
            }
            let tables = RuleTables(rules)
            let once = tables.apply(to: EventBatchBuilder(RandomEventRules.events(&random)).finish())
            let twice = tables.apply(to: once.batch)
            #expect(twice.batch.events == once.batch.events, "round \(round): \(String(decoding: rules.json.encode(), as: UTF8.self))")
            #expect(twice.changed.isEmpty && twice.dropped.isEmpty && twice.rejected.isEmpty, "round \(round)")
            changed += once.changed.count
        }
        #expect(changed > Self.rounds / 2)
    }

    /// The order of the list decides nothing but which of several properties keeps a name.
    @Test func theOrderOfTheListMakesNoDifference() {
        var random = SplitMix64(seed: 31)
        for round in 0..<Self.rounds {
            var rules = RandomEventRules.list(&random, EventRule.Kind.allCases.filter { $0 != .renameProperties && $0 != .castProperties })
            let batch = EventBatchBuilder(RandomEventRules.events(&random)).finish()
            let before = RuleTables(rules).apply(to: batch)
            rules.rules.shuffle(using: &random)
            let after = RuleTables(rules).apply(to: batch)
            #expect(after.batch.events == before.batch.events && after.rows == before.rows, "round \(round)")
            #expect(after.dropped.map(\.row) == before.dropped.map(\.row))
        }
    }

    /// One event alone becomes what it becomes among others.
    @Test func rowsAreIndependent() {
        var random = SplitMix64(seed: 41)
        for round in 0..<(Self.rounds / 10) {
            let tables = RuleTables(RandomEventRules.list(&random, EventRule.Kind.allCases))
            let events = RandomEventRules.events(&random)
            let together = tables.apply(to: EventBatchBuilder(events).finish()).batch.events
            let alone = events.flatMap { tables.apply(to: EventBatchBuilder([$0]).finish()).batch.events }
            #expect(alone == together, "round \(round)")
        }
    }
}

/// Rules and events of few names, so that they meet.
enum RandomEventRules {
    private static let names: [ByteString] = [
        "a", "A", "ab", "AB", "aB", "b", "abc", "web_a", "web_web_a", "web_", "w", "é", "É", "c d", "0",
    ]
    private static let reserved: [ByteString] = ["$identify", "$set", "web_$identify", "$Set", "w$set"]
    private static let keys: [ByteString] = ["p", "P", "q", "r", "pq", "é"]
    private static let values: [PropertyValue] = [
        .string("1"), .string("x"), .string("true"), .string("2.5"), .string(""), .integer(1), .integer(-7), .double(2.5), .double(3),
        .bool(true),
        .bool(false),
    ]

    static func events(_ random: inout SplitMix64) -> [Event] {
        (0..<(1 + random.below(12))).map { i in
            let name = random.chance(80) ? random.pick(names) : random.pick(reserved)
            let properties = (0..<random.below(4)).map { _ in Event.Property(random.pick(keys), random.pick(values)) }
            return Event(user: "u\(random.below(3))".bytes, name: name, time: Int64(i), id: "i\(i)".bytes, properties: properties)
        }
    }

    /// Rules without contradictions, as a document gives them.
    static func list(_ random: inout SplitMix64, _ kinds: [EventRule.Kind]) -> RuleList {
        var list = RuleList()
        for _ in 0..<(1 + random.below(8)) {
            var longer = list
            longer.rules.append(rule(random.pick(kinds), &random))
            if let read = try? RuleList.parse(longer.json) { list = read }
        }
        return list
    }

    private static func rule(_ kind: EventRule.Kind, _ random: inout SplitMix64) -> EventRule {
        switch kind {
        case .replacePrefix: .replacePrefix(random.pick(["web_", "w", "a", "$", "ab"]), with: random.pick(["", "a", "web_", "$"]))
        case .lowerCaseEvents: .lowerCaseEvents
        case .renameEvents: .renameEvents(some(names, &random), random.pick(NameMatch.allCases), to: random.pick(names))
        case .dropEvents: .dropEvents(some(names, &random), random.pick(NameMatch.allCases))
        case .renameProperties: .renameProperties(some(keys, &random), to: random.pick(keys), events: events(&random, names + reserved))
        case .dropProperties: .dropProperties(some(keys, &random), events: events(&random, names + reserved))
        case .castProperties:
            .castProperties(
                some(keys, &random), to: random.pick(CastTarget.allCases), otherwise: random.pick(CastFailure.allCases),
                events: events(&random, names + reserved))
        case .defaultProperty: .defaultProperty(random.pick(keys), value: random.pick(values), events: events(&random, names))
        case .missingTimestamp: .missingTimestamp([random.pick(EventEndpoint.allCases)], to: random.pick(MissingTimestamp.allCases))
        }
    }

    private static func events(_ random: inout SplitMix64, _ among: [ByteString]) -> [ByteString]? {
        random.chance(50) ? nil : some(among, &random)
    }

    private static func some(_ list: [ByteString], _ random: inout SplitMix64) -> [ByteString] {
        Array(list.shuffled(using: &random).prefix(1 + random.below(2)))
    }
}

extension String {
    fileprivate var bytes: ByteString { ByteString(self) }
}
