import Foundation
import FunnelMatch
import FunnelModel
import FunnelScan
import FunnelStorage
import FunnelTestSupport
import Testing

/// Times between steps, lists of a breakdown's rows, explanations and counts of values over random stores, against the
/// reference's attempts and the events themselves.
struct RandomPeopleTests {
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
            let scan = FunnelScan(plan, world.store.snapshot(project: 1), buckets: buckets)
            let definition = String(decoding: plan.definition.json.encoded, as: UTF8.self)
            let what = "seed \(seed), round \(round): \(definition) range \(plan.entryRange)"
            let units = world.units(plan, buckets)
            if plan.steps > 1 { try checkTimes(units, plan, scan, what, &random) }
            if plan.definition.countBy == .users {
                try checkGroups(world, units, plan, scan, what, &random)
                try checkExplanations(world, units, plan, scan, what)
            } else {
                #expect(throws: MatchError.notUsers) { try scan.explain("user1") { false } }
            }
            if round == 15 { try world.store.compact(everything: true) }
        }
        try checkValues(world, "seed \(seed), compacted")
        world.store.close()
    }

    private func checkTimes(_ units: [World.Unit], _ plan: FunnelPlan, _ scan: FunnelScan, _ what: String, _ random: inout SplitMix64) throws {
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
        #expect(got.times == TimeSummary(count: UInt64(want.count), sum: want.reduce(0) { $0 + UInt128($1) }, values: .exact([want])), "\(what)")
        #expect(got.range?.lowerBound == want.first && got.range?.upperBound == want.last, "\(what)")
        #expect(got.skipped == UInt64(deep.count - want.count), "\(what)")
    }

    private func checkGroups(
        _ world: World, _ units: [World.Unit], _ plan: FunnelPlan, _ scan: FunnelScan, _ what: String, _ random: inout SplitMix64
    ) throws {
        let property: ByteString = random.pick(["p", "q", "s", "none", "user.plan"])
        let breakdown = Breakdown(property: property, touch: random.pick([.first, .last, .step(plan.steps)]))
        let groups = try scan.breakdown(breakdown, times: false).run { false }.groups.finish()
        let step = plan.steps > 1 ? 2 : 1
        for value in groups.counts.keys.map(Optional.some) + [nil] {
            let counts = value.map { groups.counts[$0] ?? [] } ?? groups.absent
            for list in ListOutcome.allCases where list != .dropped || plan.optional >> UInt64(step - 1) & 1 == 0 {
                let users = try scan.users(
                    list, step: step, group: UserGroup(breakdown, value: value), after: "", limit: 1_000) { false }
                let want = units.filter { unit in
                    unit.isIn(list, step: step, plan)
                        && RandomReportTests.value(breakdown, unit.byStep(plan.steps), world.users[unit.user]) == value
                }.map(\.user).sorted()
                #expect(users == want, "\(what), \(breakdown), \(String(describing: value)), \(list)")
                switch list {
                case .reached: #expect(users.count == Int(counts[step - 1]), "\(what)")
                case .dropped: #expect(step == 1 || users.count == Int(counts[step - 2] - counts[step - 1]), "\(what)")
                case .converted: #expect(users.count == Int(counts[plan.steps - 1]), "\(what)")
                }
            }
        }
    }

    private func checkExplanations(_ world: World, _ units: [World.Unit], _ plan: FunnelPlan, _ scan: FunnelScan, _ what: String) throws {
        let units = Dictionary(uniqueKeysWithValues: units.map { ($0.user, $0) })
        for (user, one) in world.users {
            let (whole, found) = try scan.explain(user) { false }
            guard let found else { continue }
            let unit = units[user]
            let rows = unit?.chain.indices.filter { unit?.chain[$0] != nil } ?? []
            let positions = unit.map { $0.outcome.positions.isEmpty ? rows : $0.outcome.positions } ?? []
            #expect(found.depth == unit?.outcome.depth ?? 0 && found.chosen.map(\.position) == positions, "\(what), \(user.string)")
            #expect(whole.finish(buckets: [], newestEvent: nil).counts.filter { $0 == 1 }.count == rows.count)
            let chain = unit?.chain.compactMap { $0 }.map { UserExplanation.Moment($0.name, $0.time) } ?? []
            #expect(found.chosen.map(\.moment) == chain, "\(what), \(user.string)")
            #expect(found.eventsInAll == one.events.count && found.events.count == min(200, one.events.count))
            checkMiss(found, plan, one.events, "\(what), \(user.string)")
        }
    }

    /// What any reason claims can be read off the events.
    private func checkMiss(_ found: UserExplanation, _ plan: FunnelPlan, _ events: [Event], _ what: String) {
        guard found.depth < plan.steps else {
            #expect(found.stopped == nil, "\(what)")
            return
        }
        guard let miss = found.stopped else {
            Issue.record("no reason: \(what)")
            return
        }
        let isAny = plan.definition.order == .any
        let next = (found.depth..<plan.steps).first { plan.optional >> UInt64($0) & 1 == 0 }
        #expect(isAny ? !found.chosen.contains { $0.position == miss.position } : miss.position == next, "\(what)")
        guard let candidate = miss.candidate else {
            #expect(miss.reason == .noEvent || miss.reason == .leftOut && plan.exclusions.contains { $0.dropsUser }, "\(what): \(miss)")
            return
        }
        #expect(plan.positions(ofEvent: candidate.event) >> UInt64(miss.position) & 1 == 1, "\(what)")
        #expect(events.contains { $0.name == candidate.event && $0.time == candidate.time }, "\(what)")
        let first = found.chosen.first.map { plan.ticks($0.moment.time) } ?? 0
        let last = found.chosen.last.map { plan.ticks($0.moment.time) } ?? 0
        let at = plan.ticks(candidate.time)
        switch miss.reason {
        case .condition: #expect(!miss.property.isEmpty, "\(what)")
        case .held: #expect(plan.heldProperties.contains(miss.property), "\(what)")
        case .range: #expect(!plan.entryRange.contains(candidate.time), "\(what)")
        case .sameTime: #expect(at == last, "\(what)")
        case .order: #expect(at < (isAny ? first : last) && miss.distance > 0, "\(what)")
        case .window:
            let base = plan.definition.anchor == .firstStep ? first : last
            #expect(Int64(miss.distance) == (at - base - plan.window) * plan.tick && miss.distance > 0, "\(what)")
        case .stepWindow: #expect(plan.stepWindow[miss.position].map { Int64(miss.distance) == (at - last - $0) * plan.tick } == true, "\(what)")
        case .used: #expect(found.chosen.contains { $0.moment == candidate }, "\(what)")
        case .between: #expect(plan.definition.order == .strict && miss.blocker != nil, "\(what)")
        case .excluded: #expect(!plan.exclusions.isEmpty && miss.blocker != nil, "\(what)")
        case .noEvent, .leftOut: Issue.record("\(miss.reason) with a candidate: \(what)")
        }
    }

    private func checkValues(_ world: World, _ what: String) throws {
        let snapshot = world.store.snapshot(project: 1)
        let events = world.users.values.flatMap(\.events)
        for event in [nil, "a", "b", "missing"] as [ByteString?] {
            for prefix in ["", "1", "x"] as [ByteString] {
                let running = ValueScan(snapshot, property: "p", event: event, prefix: prefix)
                var got = try running.run { false }
                got.add(try running.run { false })
                var want = ValueRows()
                for row in events where event == nil || row.name == event {
                    guard let value = row.properties.last(where: { $0.key == "p" })?.value.canonical else { continue }
                    if value.textBytes.starts(with: prefix.bytes) { want.add(value, rows: 1) }
                }
                #expect(got == want, "\(what), \(String(describing: event)) \(prefix.string)")
            }
        }
        // Stored rows: at least those that count, and times of some of them.
        let rows = snapshot.eventRows(prefix: "")
        for (name, events) in Dictionary(grouping: events, by: \.name) {
            let found = try #require(rows[name])
            #expect(found.rows >= UInt64(events.count), "\(what)")
            #expect(events.allSatisfy { found.times.contains($0.time) }, "\(what)")
            let properties = try snapshot.propertyRows(event: name) { false }
            let have = events.filter { $0.properties.contains { $0.key == "p" } }.count
            #expect((properties["p"]?.numbers ?? 0) >= UInt64(have) && properties["p"]?.strings ?? 0 == 0, "\(what)")
        }
        #expect(Set(snapshot.eventRows(prefix: "a").keys).isSubset(of: ["a"]))
        #expect(try snapshot.propertyRows(event: "missing") { false }.isEmpty)
    }

    /// Where nothing is repeated or hidden, stored rows are the events.
    @Test func storedRowsAreTheEventsWhereNoneIsRepeated() throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("sluice-people-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        let store = try ShardStore.open(
            directory: path, files: POSIXFileSystem(), identity: StoreIdentity(clusterID: 1, shard: 0, shardCount: 1, epoch: 1), options: StoreOptions())
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
            _ = try store.append([AppendRequest(project: 1, producer: 1, sequence: UInt64(sequence), part: 0, batch: EventBatchBuilder(batch).finish())])
            if sequence < 2 { try store.seal() }
            events += batch
        }
        let snapshot = store.snapshot(project: 1)
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
            #expect(try snapshot.propertyRows(event: event) { false } == want)
            guard let event else { continue }
            let times = mine.map(\.time)
            #expect(snapshot.eventRows(prefix: event) == [event: EventRows(rows: UInt64(mine.count), times: (times.min() ?? 0)...(times.max() ?? 0))])
        }
        store.close()
    }

    @Test func tooManyValuesAreToldAsLowerBounds() {
        var few = ValueRows()
        for value in 0..<Limits.breakdownValues { few.add(.integer(Int64(value)), rows: 2) }
        few.add(.double(3), rows: 1)
        #expect(!few.isTruncated && few.rows[.integer(3)] == 3)
        few.add(.string("one more"), rows: 1)
        #expect(few.isTruncated && few.rows.count == Limits.breakdownValues)
    }
}
