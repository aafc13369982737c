import Foundation
import FunnelMatch
import FunnelModel
import FunnelScan
import FunnelStorage
import FunnelTestSupport
import Testing

/// Random funnels over random stores: every way of matching, over memtable runs, segments of several months, merged
/// segments and repeats, against the reference on each user's history.
struct RandomStoreTests {
    @Test(arguments: 0..<24)
    func everyWayAgreesWithTheReference(seed: Int) throws {
        var random = SplitMix64(seed: 0xF0 + UInt64(seed))
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("sluice-scan-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        let world = try World(path, seed: seed, &random)
        for round in 0..<(TestCounts.histories / 1_500) {
            let plan = randomPlan(world, &random)
            let buckets = random.chance(70) ? [0..<1_024] : [0..<300, 512..<900]
            try check(world, plan, buckets, "seed \(seed), round \(round)")
            if round == 30 { try world.store.compact(everything: true) }
        }
        world.store.close()
    }

    /// In data finer than the clock the layout's last tick can be a row's own.
    @Test func anAttemptAtTheVeryLastTickCounts() throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("sluice-scan-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        let store = try ShardStore.open(
            directory: path, files: POSIXFileSystem(), identity: StoreIdentity(clusterID: 1, shard: 0, shardCount: 1, epoch: 1), options: StoreOptions())
        let first: Int64 = 1_700_000_000_000_000
        // Keys begin a second (the slack's lead) before the first row.
        let last = first - 1_000_000 + (1 << 33 - 1)
        let events = [Event(user: "u", name: "a", time: first), Event(user: "v", name: "a", time: last), Event(user: "w", name: "a", time: last - 1)]
        _ = try store.append([AppendRequest(project: 1, producer: 1, sequence: 1, part: 0, batch: EventBatchBuilder(events).finish())])
        var definition = FunnelDefinition(steps: [FunnelDefinition.Step("s", events: .named(["a"]))])
        definition.window = 1_000_000
        let plan = FunnelPlan(definition, entryRange: first..<(last + 1), asOf: 1 << 59)
        for times in [false, true] {
            let counting = FunnelScan(plan, store.snapshot(project: 1), buckets: [0..<1_024]).counting(times: times)
            #expect(try counting.run { false }.finish(buckets: [0..<1_024], newestEvent: nil).counts == [3], "times \(times)")
        }
        store.close()
    }

    private func check(_ world: World, _ plan: FunnelPlan, _ buckets: [Range<Int>], _ what: String) throws {
        let snapshot = world.store.snapshot(project: 1)
        let scan = FunnelScan(plan, snapshot, buckets: buckets)
        let (outcomes, expected) = world.reference(plan, buckets)
        for times in [false, true] {
            let counting = scan.counting(times: times)
            // The second finds no slices left.
            var tally = try counting.run { false }
            tally.merge(try counting.run { false })
            let got = tally.finish(buckets: buckets, newestEvent: nil)
            var want = expected
            if !times {
                want.fromFirst = []
                want.fromPrevious = []
            }
            if got != want {
                let definition = String(decoding: plan.definition.json.encoded, as: UTF8.self)
                Issue.record("\(what), times \(times): \(definition) range \(plan.entryRange) as of \(plan.asOf)\ngot \(got)\nwant \(want)")
                return
            }
        }
        for list in ListOutcome.allCases {
            let step = plan.steps > 1 ? 2 : 1
            let want = outcomes.filter { list.includes(depth: $0.value.depth, step: step, of: plan.steps) }.keys.sorted()
            #expect(try scan.users(list, step: step, after: "", limit: 1_000) { false } == want, "\(what) \(list)")
            if let middle = want.dropFirst(want.count / 2).first {
                let after = want.filter { $0 > middle }.prefix(3)
                #expect(try scan.users(list, step: step, after: middle, limit: 3) { false } == Array(after), "\(what) \(list)")
            }
        }
    }

    private func randomPlan(_ world: World, _ random: inout SplitMix64) -> FunnelPlan {
        let shapes: [[[ByteString]]] = [
            [["a"], ["b"]], [["a"], ["b"], ["c"]], [["a"], ["a"]], [["a"], ["a", "b"], ["c"]], [["a", "b"], ["c", "d"], ["e"]],
            [["b"], ["a"], ["b"]], [["a", "b"], ["b", "c"], ["a"]], [["a"], ["*"], ["c"]], [["a"], ["b"], ["c"], ["d"]], [["a"]],
            [["missing"], ["a"]], [["a"], ["missing"]],
        ]
        let steps = random.pick(shapes).enumerated().map { i, names in
            var step = FunnelDefinition.Step(ByteString("s\(i)"), events: names == ["*"] ? .any : .named(names))
            if random.chance(25) {
                step.filters = [Predicate(property: random.pick(["p", "q"]), comparison: random.pick([.equal, .notEqual, .exists]), values: [.integer(1)])]
                if step.filters[0].comparison == .exists { step.filters[0].values = [] }
            }
            return step
        }
        var definition = FunnelDefinition(steps: steps)
        definition.clock = random.chance(60) ? .second : .microsecond
        let tick = definition.clock.tick
        if random.chance(60) { definition.order = .flexible(limit: random.pick([1, 1, 1, 2, 3_000_000, 60_000_000]) * (tick == 1 ? 1 : 1_000_000)) }
        if case .flexible(let limit) = definition.order, limit > Limits.orderLimitMicroseconds { definition.order = .flexible(limit: tick) }
        definition.anchor = random.chance(75) ? .firstStep : .previousStep
        definition.entry = random.pick(FunnelDefinition.Entry.allCases)
        definition.window = random.pick([1, 2, 5, 86_400, 40 * 86_400, 366 * 86_400]) * 1_000_000
        if tick == 1, random.chance(40) { definition.window = random.pick([1, 999, 1_000, 250_000]) }
        let range = random.chance(30) ? world.times.lowerBound + 1..<(world.times.lowerBound + (random.chance(50) ? 5_250_000 : 70 * 86_400_000_000)) : nil
        let asOf = random.chance(50) ? random.pick(world.events).time + Int64(random.below(5)) * 1_000_000 : 1 << 59
        return FunnelPlan(definition, entryRange: range, asOf: asOf)
    }
}

/// A store with random events, and the events that count in it.
private struct World {
    let store: ShardStore<POSIXFileSystem>
    var events: [Event] = []
    var times: ClosedRange<Int64> = 0...0

    init(_ path: String, seed: Int, _ random: inout SplitMix64) throws {
        var options = StoreOptions()
        options.sealRows = 100_000
        store = try ShardStore.open(
            directory: path, files: POSIXFileSystem(), identity: StoreIdentity(clusterID: 1, shard: 0, shardCount: 1, epoch: 1), options: options)
        let units: [Int64] = [[1_000_000], [1_000], [1], [1_000_000, 1_000, 1]][seed % 4]
        let hidden: Set<ByteString> = seed % 5 == 0 ? ["user3", "user17", "nobody"] : []
        for sequence in 0..<8 {
            var batch: [Event] = []
            for user in 0..<60 where random.chance(40) {
                for _ in 0..<(1 + random.below(3)) {
                    batch.append(Self.event(ByteString("user\(user)"), units, &random))
                }
            }
            // Some come twice, in this batch or a later one.
            batch += (0..<5).compactMap { _ in (events + batch).filter { !$0.id.isEmpty }.randomElement(using: &random) }
            let request = AppendRequest(project: 1, producer: 1, sequence: UInt64(sequence), part: 0, batch: EventBatchBuilder(batch).finish())
            _ = try store.append([request]).map { try $0.get() }
            if random.chance(40) { try store.seal() }
            if sequence == 4, !hidden.isEmpty { try store.suppress(project: 1, users: Array(hidden)) }
            for event in batch where event.id.isEmpty || !events.contains(where: { Self.same($0, event) }) { events.append(event) }
        }
        if seed % 2 == 0 { while store.maintain() {} }
        events.removeAll { hidden.contains($0.user) }
        times = (events.map(\.time).min() ?? 0)...(events.map(\.time).max() ?? 0)
    }

    private static func same(_ a: Event, _ b: Event) -> Bool { a.user == b.user && a.name == b.name && a.time == b.time && a.id == b.id }

    private static func event(_ user: ByteString, _ units: [Int64], _ random: inout SplitMix64) -> Event {
        let name = random.below(5)
        // A name keeps to one unit, beside names of others.
        let unit = units[name % units.count]
        let month: Int64 = random.pick([1_700_000_000, 1_700_000_000, 1_702_000_000, 1_707_000_000]) * 1_000_000
        let offset = Int64(random.below(9)) * 1_000_000 + Int64(random.below(4)) * 250_000 / unit * unit + (random.chance(10) ? unit : 0)
        var properties: [Event.Property] = []
        if random.chance(60) { properties.append(.init("p", .integer(Int64(random.below(3))))) }
        if random.chance(30) { properties.append(.init("q", random.chance(50) ? .integer(1) : .string("x"))) }
        return Event(
            user: user, name: ["a", "b", "c", "d", "e"][name], time: (month + offset) / unit * unit,
            id: random.chance(50) ? ByteString("i\(random.next())") : "", properties: properties)
    }

    func reference(_ plan: FunnelPlan, _ buckets: [Range<Int>]) -> ([ByteString: UserOutcome], PartialResult) {
        var outcomes: [ByteString: UserOutcome] = [:]
        var result = PartialResult(steps: plan.steps, times: true, buckets: buckets)
        for (user, mine) in Dictionary(grouping: events, by: \.user) {
            let bucket = XXH64.bucket(ofUser: user)
            guard buckets.contains(where: { $0.contains(bucket) }) else { continue }
            var (time, mask) = OneUser(mine).columns(for: plan)
            // The reference tries everything, so it is given only what can fill a step.
            let rows = mask.indices.filter { mask[$0] != 0 }
            time = rows.map { time[$0] }
            mask = rows.map { mask[$0] }
            let outcome = ReferenceMatcher(plan).match(time: time, mask: mask)
            if outcome.depth == 0 { continue }
            outcomes[user] = outcome
            let chain = outcome.chain.map { max(plan.ticks(time[$0]), plan.ticks(time[outcome.chain[0]])) }
            for i in 0..<outcome.depth {
                result.counts[i] += 1
                result.fromFirst[i].add(UInt64(chain[i] - chain[0]))
                if i > 0 { result.fromPrevious[i].add(UInt64(max(0, chain[i] - chain[i - 1]))) }
            }
            if outcome.openDepth > 0 { result.open[outcome.openDepth - 1] += 1 }
        }
        for i in 0..<plan.steps {
            result.fromFirst[i].seal()
            result.fromPrevious[i].seal()
        }
        return (outcomes, result)
    }
}
