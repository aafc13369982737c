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
                var matcher = PlainMatcher(plan)
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
