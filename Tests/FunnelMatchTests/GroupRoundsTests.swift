import FunnelMatch
import FunnelModel
import TestSupport
import Testing

/// Breakdowns over several shards that tell only their leading groups at first, against all groups at one place.
struct GroupRoundsTests {
    private static let steps = 3
    private typealias User = (value: PropertyValue?, depth: Int, shard: Int)

    private enum Spread: CaseIterable { case alone, flat, tied, skewed, oneShard, hidden }

    /// Users of the kinds that make it easy or hard to see which values lead.
    private static func users(_ spread: Spread, shards: Int, _ random: inout SplitMix64) -> [User] {
        let values = 1 + random.below(120)
        var users: [User] = []
        func add(_ value: Int?, shard: Int? = nil) {
            let named: PropertyValue? = value.map { $0 % 3 == 0 ? .integer(Int64($0)) : .string(ByteString("v\($0)")) }
            users.append((named, 1 + random.below(steps), shard ?? random.below(shards)))
        }
        let absent = random.pick([0, 0, 5, 200])
        for _ in 0..<absent { add(nil) }
        for value in 0..<values {
            switch spread {
            case .alone: add(value)
            case .flat: for _ in 0..<(1 + random.below(4)) { add(value) }
            // As many on every shard.
            case .tied: for shard in 0..<shards { add(value, shard: shard) }
            case .skewed: for _ in 0..<(1 + 200 / (value + 1)) { add(value) }
            case .oneShard: for _ in 0..<(1 + random.below(6)) { add(value, shard: value % shards) }
            // Value 0 leads nowhere, and in all.
            case .hidden:
                for shard in 0..<shards where value == 0 || value % shards == shard {
                    for _ in 0..<(value == 0 ? 4 : 5) { add(value, shard: shard) }
                }
            }
        }
        return users
    }

    private static func tally(_ users: some Sequence<User>) throws -> GroupTally {
        var tally = GroupTally(steps: steps)
        for user in users { try tally.add(user.value, depth: user.depth) }
        return tally
    }

    private static func whole(_ users: [User]) -> [UInt64] { (1...steps).map { step in UInt64(users.count { $0.depth >= step }) } }

    private struct Asked {
        var groups: ValueGroups
        var rounds: Int
        var second: GroupShare?
    }

    /// What a coordinator does, with users of its own for each round.
    private static func ask(_ first: [User], _ second: [User], shards: Int, k: Int, leadingMax: Int, namedMax: Int) throws -> Asked {
        func round(_ users: [User], _ share: GroupShare) throws -> ValueGroups {
            var merged = ValueGroups(steps: steps)
            for shard in 0..<shards {
                merged.merge(try tally(users.lazy.filter { $0.shard == shard }).finish(share, leadingMax: leadingMax))
            }
            return merged
        }
        let groups = try round(first, .leading)
        guard let share = groups.question(for: k, shards: shards, namedMax: namedMax) else { return Asked(groups: groups, rounds: 1) }
        return Asked(groups: try round(second, share), rounds: 2, second: share)
    }

    @Test func twoRoundsAtMostTellWhatOnePlaceTells() throws {
        var random = SplitMix64(seed: 0x2B0)
        var seen: [String: Int] = [:]
        for _ in 0..<max(1_000, TestCounts.histories / 50) {
            let shards = 1 + random.below(5)
            let spread = random.pick(Spread.allCases)
            let users = Self.users(spread, shards: shards, &random)
            let (k, leadingMax, namedMax) = (1 + random.below(30), 1 + random.below(60), random.pick([3, 1_000]))
            let what = "\(spread), \(shards) shards, k \(k), \(leadingMax) told, \(namedMax) named"
            let exact = try Self.tally(users).finish()
            let asked = try Self.ask(users, users, shards: shards, k: k, leadingMax: leadingMax, namedMax: namedMax)
            let rows = asked.groups.largest(k).map(asked.groups.value)
            let order = exact.byValue.sorted { a, b in
                a.value[0] != b.value[0] ? a.value[0] > b.value[0] : [a.key, b.key].sortedAsText()[0] == a.key
            }
            #expect(rows == order.prefix(k).map(\.key), "\(what)")
            for row in rows { #expect(asked.groups.counts(of: row) == exact.counts(of: row), "\(what)") }
            #expect(asked.groups.absent == exact.absent && asked.groups.distinct.contains(exact.count), "\(what)")
            switch asked.second {
            case nil: seen["one", default: 0] += 1
            case .all:
                #expect(asked.groups == exact, "\(what)")
                seen["all", default: 0] += 1
            case .named(let values):
                #expect(values.count <= namedMax && Set(values) == Set(asked.groups.byValue.keys), "\(what)")
                seen["named", default: 0] += 1
            case .leading: Issue.record("a second round of leading groups")
            }
            if shards == 1, k <= leadingMax { #expect(asked.rounds == 1 && asked.groups.distinct.count == 1, "\(what)") }
        }
        #expect(["one", "named", "all"].allSatisfy { seen[$0] ?? 0 > 0 }, "\(seen)")
    }

    /// What comes between the rounds may change who should be shown, but every number is of the second.
    @Test func whatComesBetweenTheRoundsLeavesTheAnswerWhole() throws {
        var random = SplitMix64(seed: 0x2B1)
        for _ in 0..<300 {
            let shards = 1 + random.below(4)
            let before = Self.users(random.pick(Spread.allCases), shards: shards, &random)
            let after = before + Self.users(random.pick(Spread.allCases), shards: shards, &random)
            let (k, leadingMax) = (1 + random.below(10), 1 + random.below(20))
            let asked = try Self.ask(before, after, shards: shards, k: k, leadingMax: leadingMax, namedMax: 1_000)
            let exact = try Self.tally(asked.rounds == 2 ? after : before).finish()
            let rows = asked.groups.largest(k).map(asked.groups.value)
            for row in rows { #expect(asked.groups.counts(of: row) == exact.counts(of: row)) }
            #expect(asked.groups.absent == exact.absent)
            if asked.second == .all { #expect(asked.groups == exact) }
            // What is left for the others is nowhere below zero.
            let told = rows.reduce(exact.absent) { zip($0, exact.counts(of: $1) ?? []).map(+) }
            #expect(zip(told, Self.whole(asked.rounds == 2 ? after : before)).allSatisfy { $0 <= $1 })
        }
    }

    @Test func manyValuesAreBoundedAndTheLeadingOnesToldFirst() throws {
        var tally = GroupTally(steps: 1)
        for value in 0..<(Limits.leadingGroups + 10) { try tally.add(.integer(Int64(value)), depth: 1) }
        for _ in 0..<2 { try tally.add(.integer(99_999), depth: 1) }
        let leading = try tally.finish(.leading)
        #expect(leading.count == Limits.leadingGroups && leading.counts(of: .integer(99_999)) == [2])
        #expect(
            leading.untold.values == 11 && leading.untold.users == 1
                && leading.distinct == (Limits.leadingGroups + 11)...(Limits.leadingGroups + 11))
        // Of one size those that come first as text.
        #expect(leading.counts(of: .integer(0)) != nil && leading.counts(of: .integer(9_999)) == nil)
        let named = try tally.finish(.named([.string("nobody"), .integer(9_999)]))
        #expect(named.byValue == [.string("nobody"): [0], .integer(9_999): [1]] && named.untold.users == 2)
        #expect(named.distinct == leading.distinct)
        #expect(try tally.finish(.all).count == Limits.leadingGroups + 11)
    }

    @Test func longValuesAreCutShortAndThenRefused() throws {
        var tally = GroupTally(steps: 1)
        let tail = String(repeating: "x", count: Limits.propertyValueBytes - 8)
        for value in 0..<8_000 { try tally.add(.string(ByteString(String(10_000_000 + value) + tail)), depth: 1) }
        let leading = try tally.finish(.leading)
        #expect(leading.count == Limits.leadingBytes / (Limits.propertyValueBytes + 4))
        #expect(leading.count + leading.untold.values == 8_000)
        #expect(try tally.finish(.all).count == 8_000)
        // What all groups take to send has a bound too.
        var many = GroupTally(steps: 2, valuesMax: 100, bytesMax: 1_150)
        for value in 0..<100 { try many.add(.integer(Int64(value)), depth: 2) }
        #expect(throws: TooManyValues.self) { try many.finish(.all) }
        #expect(try many.finish(.leading, leadingMax: 50).untold.values == 50)
    }

    @Test func valuesTimesStepsAreBounded() throws {
        var tally = GroupTally(steps: 64)
        let most = Limits.breakdownCounts / 64
        for value in 0..<most { try tally.add(.integer(Int64(value)), depth: 64) }
        let refused = #expect(throws: TooManyValues.self) { try tally.add(.bool(true), depth: 1) }
        #expect(refused?.values == most)
    }
}
