import FunnelMatch
import FunnelModel
import TestSupport
import Testing

/// `Protocol/vectors/funnels.json`: cases written by hand from `FUNNEL.md`, on the reference, and
/// on the matcher and the tally where the rules are plain.
struct FunnelVectorTests {
    static let vectors = (try? Repository.json("Protocol/vectors/funnels.json"))?.asArray ?? []

    @Test func fileHoldsTheVectors() {
        #expect(Self.vectors.count >= 150)
    }

    @Test(arguments: vectors.indices)
    func countsDepthsAndTimesAreThoseOfTheVector(index: Int) throws {
        let vector = Self.vectors[index]
        let why: Comment = "\(vector["name"]?.asString?.string ?? ""): \(vector["why"]?.asString?.string ?? "")"
        let definition = try FunnelDefinition.parse(try #require(vector["definition"]))
        let asOf = try vector["as_of"]?.asString.map { try Timestamp.parse($0) } ?? 1 << 59
        let plan = FunnelPlan(definition, entryRange: try Self.range(vector["range"]), asOf: asOf)
        var counts = Array(repeating: UInt64(0), count: plan.steps)
        var open = counts
        var tally = FunnelTally(plan, times: true)
        for item in try #require(vector["users"]?.asArray) {
            let user = OneUser(try (item["events"]?.asArray ?? []).map(Self.event))
            let outcomes = user.outcomes(plan)
            #expect(try user.matched(plan) == outcomes, why)
            let wanted = item["outcomes"]?.asArray ?? (item["depth"] == 0 ? [] : [item])
            try #require(outcomes.count == wanted.count, why)
            for (outcome, want) in zip(outcomes, wanted) {
                #expect(outcome.depth == (want["depth"]?.asInteger).map(Int.init), why)
                #expect(user.seconds(outcome, plan) == want["seconds"]?.asArray?.map(\.asDouble), why)
                if let positions = want["positions"] { #expect(outcome.positions.map { .integer(Int64($0)) } == positions.asArray, why) }
                for i in 0..<outcome.depth where outcome.chain[i] >= 0 { counts[i] += 1 }
                if outcome.openDepth > 0 { open[outcome.openDepth - 1] += 1 }
            }
            if plan.isPlain {
                let (time, mask) = user.columns(for: plan)
                var matcher = UserMatcher(plan)
                let outcome = try matcher.match(time: time, mask: mask)
                #expect(outcome == outcomes.first ?? UserOutcome(), why)
                tally.add(outcome, time: time)
            }
        }
        #expect(counts == Self.numbers(vector["counts"]), why)
        if vector["open"] != nil { #expect(open == Self.numbers(vector["open"]), why) }
        if plan.isPlain {
            let result = tally.finish(buckets: [0..<Limits.buckets], newestEvent: nil)
            #expect(result.counts == counts, why)
            #expect(result.open == open, why)
        }
    }

    private static func numbers(_ value: JSONValue?) -> [UInt64]? {
        value?.asArray?.compactMap(\.asInteger).map { UInt64($0) }
    }

    private static func range(_ value: JSONValue?) throws -> Range<Int64>? {
        guard let value else { return nil }
        return try Timestamp.parse(value["start"]?.asString ?? "")..<Timestamp.parse(value["end"]?.asString ?? "")
    }

    private static func event(_ row: JSONValue) throws -> Event {
        let parts = try #require(row.asArray)
        let properties = (parts.count > 2 ? parts[2].asObject ?? [] : []).compactMap { member in
            PropertyValue(scalar: member.value).map { Event.Property(member.key, $0) }
        }
        return Event(
            user: "u", name: try #require(parts[0].asString),
            time: try Timestamp.parse(try #require(parts[1].asString)),
            properties: properties)
    }
}

struct WorkBudgetTests {
    /// What the matcher does not know it must not count by other rules.
    @Test func plansThatAreNotPlainAreRefusedByName() throws {
        var definition = FunnelDefinition(steps: [.init("a"), .init("b")])
        definition.order = .strict
        var matcher = UserMatcher(FunnelPlan(definition, entryRange: nil, asOf: 0))
        #expect(throws: MatchError.notPlain) { try matcher.match(time: [0], mask: [1]) }
    }

    private func match(
        _ steps: [ByteString], flexible: Bool, anchor: FunnelDefinition.WindowAnchor = .firstStep, events: [ByteString],
        workMax: Int
    ) throws -> UserOutcome {
        var definition = FunnelDefinition(steps: steps.map { .init($0) })
        if flexible { definition.order = .flexible(limit: 86_400_000_000) }
        definition.anchor = anchor
        let plan = FunnelPlan(definition, entryRange: nil, asOf: 1 << 59)
        let user = events.enumerated().map { Event(user: "u", name: $1, time: Int64($0) * 1_000_000) }
        let (time, mask) = OneUser(user).columns(for: plan)
        var matcher = UserMatcher(plan, workMax: workMax)
        return try matcher.match(time: time, mask: mask)
    }

    /// However many attempts a user has, a mode that never turns back has nothing to count.
    @Test(arguments: [false, true])
    func linearModesNeedNoBudget(flexible: Bool) throws {
        let events = (0..<5_000).flatMap { _ in ["a", "b", "c"] as [ByteString] }
        let outcome = try match(["a", "b", "c"], flexible: flexible, events: events, workMax: 0)
        #expect(outcome.depth == 3)
    }

    @Test func searchThatCostsTooMuchFailsByName() {
        let steps: [ByteString] = (0..<12).map { $0 % 2 == 0 ? "a" : "b" } + ["a"]
        let events: [ByteString] = (0..<12).map { $0 % 2 == 0 ? "a" : "b" }
        #expect(throws: MatchError.workBudget(limit: 10)) {
            try match(steps, flexible: true, events: events, workMax: 10)
        }
    }

    /// 63 steps for 62 events, tried anew by every attempt: deciding that this can't work is work too.
    @Test func checksBeforeTheSearchAreCountedToo() {
        let steps: [ByteString] = ["a"] + (0..<63).map { _ in "b" }
        let events: [ByteString] = (0..<3_000).map { _ in "a" } + (0..<62).map { _ in "b" }
        #expect(throws: MatchError.workBudget(limit: 100_000)) {
            try match(steps, flexible: true, events: events, workMax: 100_000)
        }
    }
}
