import EventStorage
import Foundation
import FunnelMatch
import FunnelModel
import FunnelQuery
import TestSupport
import Testing

/// Times between steps, lists of a breakdown's rows, explanations and counts of values over random stores, against the
/// reference's attempts and the events themselves.
struct RandomExplainTests {
    @Test(arguments: 0..<24)
    func reportsAgreeWithTheReference(seed: Int) throws {
        var random = SplitMix64(seed: 0xC0 + UInt64(seed))
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("sluice-people-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        let world = try World(path, seed: seed, &random)
        try checkValues(world, "seed \(seed)")
        for round in 0..<(TestCounts.histories / 3_000) {
            let plan = random.chance(25) ? World.narrowed(world.randomPlan(&random, rules: false), &random) : world.randomPlan(&random)
            let buckets = random.chance(70) ? [0..<1_024] : [0..<300, 512..<900]
            let cohorts = world.randomCohorts(&random)
            let scan = try ShardQuery(plan, world.store.view(project: 1), buckets: buckets, cohorts: cohorts)
            let definition = String(decoding: plan.definition.json.encode(), as: UTF8.self)
            let what = "seed \(seed), round \(round): \(definition) range \(plan.entryRange) cohorts \(cohorts)"
            let units = world.units(plan, buckets, cohorts)
            if plan.steps > 1 { try checkTimes(units, plan, scan, what, &random) }
            if plan.definition.countBy == .users {
                try checkGroups(world, units, plan, scan, what, &random)
                try checkExplanations(world, units, plan, scan, world.members(cohorts, asOf: plan.asOf), what)
            } else {
                #expect(throws: MatchError.notUsers) { try scan.explain("user1") { false } }
            }
            if round == 15 { try world.store.compact(everything: true) }
        }
        try checkValues(world, "seed \(seed), compacted")
        world.store.close()
    }

    private func checkTimes(_ units: [World.Unit], _ plan: FunnelPlan, _ scan: ShardQuery, _ what: String, _ random: inout SplitMix64)
        throws
    {
        let to = 1 + random.below(plan.steps - 1)
        let from = random.below(to)
        let running = scan.times(from: from, to: to)
        var (whole, tally) = try running.run { false }
        // The second finds no slices left.
        let rest = try running.run { false }
        whole.merge(rest.whole)
        tally.merge(rest.times)
        let plain = try scan.counting(times: false).run { false }
        #expect(whole.finish(buckets: [], newestEvent: nil).counts == plain.finish(buckets: [], newestEvent: nil).counts, "\(what)")
        let deep = units.filter { $0.outcome.depth > to }
        let want = deep.compactMap { unit -> UInt64? in
            guard let first = unit.chain[0], let start = unit.chain[from], let end = unit.chain[to] else { return nil }
            let (a, i, j) = (plan.ticks(first.time), plan.ticks(start.time), plan.ticks(end.time))
            return UInt64(max(0, max(a, j) - max(a, i)))
        }.sorted()
        let got = tally.finish()
        #expect(
            got.times == TimeSummary(count: UInt64(want.count), sum: want.reduce(0) { $0 + UInt128($1) }, values: .exact([want])), "\(what)"
        )
        #expect(got.range?.lowerBound == want.first && got.range?.upperBound == want.last, "\(what)")
        #expect(got.skipped == UInt64(deep.count - want.count), "\(what)")
    }

    private func checkGroups(
        _ world: World, _ units: [World.Unit], _ plan: FunnelPlan, _ scan: ShardQuery, _ what: String, _ random: inout SplitMix64
    ) throws {
        let property: ByteString = random.pick(["p", "q", "s", "none", "user.plan"])
        let breakdown = Breakdown(property: property, touch: random.pick([.first, .last, .step(plan.steps)]))
        let groups = try scan.breakdown(breakdown, times: false).run { false }.groups.finish()
        let step = plan.steps > 1 ? 2 : 1
        for value in groups.byValue.keys.map(Optional.some) + [nil] {
            let counts = value.map { groups.counts(of: $0) ?? [] } ?? groups.absent
            for list in ListOutcome.allCases where list.mayBe(ofOptional: plan.optional.contains(step - 1)) {
                let listing = try scan.listing(list, step: step, group: UserGroup(breakdown, value: value), after: "", limit: 1_000)
                let first = try listing.run { false }
                // The second finds no slices left.
                let users = listing.merge([first, try listing.run { false }])
                let want = units.filter { unit in
                    unit.isIn(list, step: step, plan)
                        && RandomReportTests.value(breakdown, unit.byStep(plan.steps), world.users[unit.user]) == value
                }.map(\.user).sorted()
                #expect(users == want, "\(what), \(breakdown), \(String(describing: value)), \(list)")
                switch list {
                case .reached: #expect(users.count == Int(counts[step - 1]), "\(what)")
                case .dropped: #expect(step == 1 || users.count == Int(counts[step - 2] - counts[step - 1]), "\(what)")
                case .converted: #expect(users.count == Int(counts[plan.steps - 1]), "\(what)")
                case .open: break
                }
            }
        }
    }

    /// - Parameter members: users of the cohorts.
    private func checkExplanations(
        _ world: World, _ units: [World.Unit], _ plan: FunnelPlan, _ scan: ShardQuery, _ members: Set<ByteString>, _ what: String
    ) throws {
        let units = Dictionary(uniqueKeysWithValues: units.map { ($0.user, $0) })
        for (user, one) in world.users {
            let (whole, found) = try scan.explain(user) { false }
            guard let found else { continue }
            let what = "\(what), \(user.string)"
            let unit = units[user]
            let one = one.seen(by: plan)
            let chain = unit?.chain.compactMap(\.self) ?? []
            let byHand = ExplanationByHand(plan, one, unit?.outcome)
            #expect(found.depth == unit?.outcome.depth ?? 0 && found.chosen.map(\.position) == byHand.steps, "\(what)")
            #expect(whole.finish(buckets: [], newestEvent: nil).counts.filter { $0 == 1 }.count == chain.count)
            #expect(found.chosen.map(\.moment) == chain.map { UserExplanation.Moment($0.name, $0.time) }, "\(what)")
            #expect(found.chosen.map { Self.values($0.properties) } == chain.map { Self.values($0.properties) }, "\(what)")
            #expect(found.eventsInAll == one.events.count && found.events == byHand.entries(), "\(what)")
            guard members.contains(user) else {
                #expect(found.stopped == .init(position: 0, reason: .notInCohort) && found.attemptsInAll == 0, "\(what)")
                continue
            }
            let attempts = byHand.attempts { World.outcomes($0, of: one).first }
            #expect(found.attemptsInAll == attempts.count, "\(what)")
            #expect(attempts.count > UserExplanation.attemptsShown || found.attempts == attempts, "\(what)")
            #expect(found.stopped == byHand.stopped(), "\(what)")
            #expect(found.openUntil == World.openUntil(plan, of: one), "\(what)")
            if found.stopped?.reason == .leftOut { #expect(plan.exclusions.contains { $0.dropsUser }, "\(what)") }
        }
    }

    @Test(arguments: 0..<8)
    func ofLongHistoriesSoMuchIsToldAsTheRulesSay(seed: Int) throws {
        var random = SplitMix64(seed: 0xE0 + UInt64(seed))
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("sluice-people-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        let store = try ShardStore.open(
            directory: path, files: POSIXFileSystem(), identity: StoreIdentity(clusterID: 1, shard: 0, shardCount: 1, epoch: 1),
            options: StoreOptions())
        let start: Int64 = 1_700_000_000_000_000
        let one = OneUser(
            (0..<300).map { _ in
                Event(user: "u", name: random.pick(["a", "a", "b", "c"]), time: start + Int64(random.below(2_400)) * 250_000)
            })
        _ = try store.append([AppendRequest(project: 1, producer: 1, sequence: 0, part: 0, batch: EventBatchBuilder(one.events).finish())])
        for order: FunnelDefinition.ConversionOrder in [.sequential, .flexible(limit: 2_000_000), .strict, .any] {
            var definition = FunnelDefinition(steps: ["a", "b", "c", random.pick(["a", "d"])].map { .init($0) })
            definition.order = order
            definition.window = Microseconds(random.pick([1, 3])) * 1_000_000
            definition.entry = random.pick(FunnelDefinition.Entry.allCases)
            let range = random.chance(50) ? start + 300_000_000..<start + Int64(random.pick([300, 600])) * 1_000_000 : nil
            let plan = FunnelPlan(definition, entryRange: range, asOf: 1 << 59)
            let outcome = World.outcomes(plan, of: one).first
            let byHand = ExplanationByHand(plan, one, outcome)
            let scan = try ShardQuery(plan, store.view(project: 1), buckets: [0..<1_024])
            let found = try #require(try scan.explain("u") { false }.explanation)
            let from = max(0, min((outcome?.chain[0] ?? 300) - 50, 100))
            #expect(found.eventsInAll == 300 && found.events == Array(byHand.entries()[from..<(from + 200)]), "\(order)")
            let attempts = byHand.attempts { World.outcomes($0, of: one).first }
            let deepest = attempts.sorted { ($1.depth, $0.time) < ($0.depth, $1.time) }.prefix(20)
            #expect(found.attemptsInAll == attempts.count && found.attempts == deepest.sorted { $0.time < $1.time }, "\(order)")
            #expect(found.stopped == byHand.stopped(), "\(order)")
        }
        store.close()
    }

    private static func values(_ properties: [Event.Property]) -> [ByteString: PropertyValue] {
        Dictionary(uniqueKeysWithValues: properties.map { ($0.key, $0.value.canonical) })
    }

    private func checkValues(_ world: World, _ what: String) throws {
        let view = try world.store.view(project: 1)
        let events = world.users.values.flatMap(\.events)
        for event in [nil, "a", "b", "missing"] as [ByteString?] {
            for prefix in ["", "1", "x"] as [ByteString] {
                let running = ValueScan(view, property: "p", event: event, prefix: prefix)
                var got = try running.run { false }
                got.add(try running.run { false })
                var want = ValueRows()
                for row in events where event == nil ? !World.profiles.contains(row.name) : row.name == event {
                    guard let value = row.properties.last(where: { $0.key == "p" })?.value.canonical else { continue }
                    if value.textBytes.starts(with: prefix.bytes) { want.add(value, rows: 1) }
                }
                #expect(got == want, "\(what), \(String(describing: event)) \(prefix.string)")
            }
        }
        // Stored rows: at least those that count, and times of some of them.
        let rows = view.eventRows(prefix: "")
        for (name, events) in Dictionary(grouping: events, by: \.name) {
            if World.profiles.contains(name) {
                #expect(rows[name] == nil)
                continue
            }
            let found = try #require(rows[name])
            #expect(found.rows >= UInt64(events.count), "\(what)")
            #expect(events.allSatisfy { found.times.contains($0.time) }, "\(what)")
            let properties = try view.propertyRows(event: name) { false }
            let have = events.filter { $0.properties.contains { $0.key == "p" } }.count
            #expect((properties["p"]?.numbers ?? 0) >= UInt64(have) && properties["p"]?.strings ?? 0 == 0, "\(what)")
        }
        #expect(Set(view.eventRows(prefix: "a").keys).isSubset(of: ["a"]))
        #expect(try view.propertyRows(event: "missing") { false }.isEmpty)
    }

    /// Where nothing is repeated or suppressed, stored rows are the events.
    @Test func storedRowsAreTheEventsWhereNoneIsRepeated() throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("sluice-people-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        let store = try ShardStore.open(
            directory: path, files: POSIXFileSystem(), identity: StoreIdentity(clusterID: 1, shard: 0, shardCount: 1, epoch: 1),
            options: StoreOptions())
        var random = SplitMix64(seed: 0xD1)
        var events: [Event] = []
        for sequence in 0..<3 {
            var batch: [Event] = []
            for i in 0..<9_000 {
                var properties: [Event.Property] = []
                if random.chance(70) { properties.append(.init("m", random.pick([.string("s"), .integer(1), .double(0.5), .bool(true)]))) }
                if random.chance(2) { properties.append(.init("rare", .bool(false))) }
                if i % 3 == 0 { properties.append(.init("all", .integer(Int64(i)))) }
                let time = 1_700_000_000_000_000 + Int64(random.below(1_000_000)) * 1_000_000
                batch.append(Event(user: ByteString("u\(i)"), name: ["x", "y", "z"][i % 3], time: time, properties: properties))
            }
            _ = try store.append([
                AppendRequest(project: 1, producer: 1, sequence: UInt64(sequence), part: 0, batch: EventBatchBuilder(batch).finish())
            ])
            if sequence < 2 { try store.seal() }
            events += batch
        }
        let view = try store.view(project: 1)
        for event in [nil, "x", "y", "z"] as [ByteString?] {
            var want: [ByteString: PropertyRows] = [:]
            let mine = events.filter { event == nil || $0.name == event }
            for property in mine.flatMap(\.properties) {
                var entry = want[property.key] ?? PropertyRows()
                switch property.value {
                case .string: entry.strings += 1
                case .bool: entry.booleans += 1
                default: entry.numbers += 1
                }
                want[property.key] = entry
            }
            #expect(try view.propertyRows(event: event) { false } == want)
            guard let event else { continue }
            let times = mine.map(\.time)
            #expect(
                view.eventRows(prefix: event) == [
                    event: EventRows(rows: UInt64(mine.count), times: (times.min() ?? 0)...(times.max() ?? 0))
                ])
        }
        store.close()
    }

    @Test func tooManyValuesAreToldAsLowerBounds() {
        var few = ValueRows()
        for value in 0..<Limits.foundValues { few.add(.integer(Int64(value)), rows: 2) }
        few.add(.double(3), rows: 1)
        #expect(!few.isTruncated && few.rows[.integer(3)] == 3)
        few.add(.string("one more"), rows: 1)
        #expect(few.isTruncated && few.rows.count == Limits.foundValues)
    }
}
