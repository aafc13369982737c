import EventStorage
import Foundation
import FunnelMatch
import FunnelModel
import FunnelQuery
import TestSupport
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
            let plan = world.randomPlan(&random)
            let buckets = random.chance(70) ? [0..<1_024] : [0..<300, 512..<900]
            try check(world, plan, buckets, world.randomCohorts(&random), "seed \(seed), round \(round)")
            if round == 30 { try world.store.compact(everything: true) }
        }
        world.store.close()
    }

    /// The rules that only take chains away, on top of plain ones that kernels take.
    @Test(arguments: 0..<24)
    func exclusionsAndHeldPropertiesAgreeWithTheReference(seed: Int) throws {
        var random = SplitMix64(seed: 0x4E0 + UInt64(seed))
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("sluice-scan-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        let world = try World(path, seed: seed, &random)
        for round in 0..<(TestCounts.histories / 1_500) {
            let plan = World.narrowed(world.randomPlan(&random, rules: false), &random)
            try check(world, plan, [0..<1_024], world.randomCohorts(&random), "seed \(seed), round \(round)")
            if round == 30 { try world.store.compact(everything: true) }
        }
        world.store.close()
    }

    /// In data finer than the clock the layout's last tick can be a row's own.
    @Test func anAttemptAtTheVeryLastTickCounts() throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("sluice-scan-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        let store = try ShardStore.open(
            directory: path, files: POSIXFileSystem(), identity: StoreIdentity(clusterID: 1, shard: 0, shardCount: 1, epoch: 1),
            options: StoreOptions())
        let first: Int64 = 1_700_000_000_000_000
        // Keys begin a second (the slack's lead) before the first row.
        let last = first - 1_000_000 + (1 << 33 - 1)
        let events = [
            Event(user: "u", name: "a", time: first), Event(user: "v", name: "a", time: last), Event(user: "w", name: "a", time: last - 1),
        ]
        _ = try store.append([AppendRequest(project: 1, producer: 1, sequence: 1, part: 0, batch: EventBatchBuilder(events).finish())])
        var definition = FunnelDefinition(steps: [FunnelDefinition.Step("s", events: .named(["a"]))])
        definition.window = 1_000_000
        let plan = FunnelPlan(definition, entryRange: first..<(last + 1), asOf: 1 << 59)
        for times in [false, true] {
            let counting = try ShardQuery(plan, store.view(project: 1), buckets: [0..<1_024]).counting(times: times)
            #expect(try counting.run { false }.finish(buckets: [0..<1_024], newestEvent: nil).counts == [3], "times \(times)")
        }
        store.close()
    }

    /// Whoever takes which slices of a list, their pages make the whole.
    @Test func pagesOfSeveralThreadsAreOne() throws {
        var random = SplitMix64(seed: 0xE1)
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("sluice-scan-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        let world = try World(path, seed: 0, users: 4_000, &random)
        var definition = FunnelDefinition(steps: [.init("a"), .init("b")])
        definition.order = .strict
        let plan = FunnelPlan(definition, entryRange: nil, asOf: 1 << 59)
        let want = world.units(plan, [0..<1_024]).filter { $0.outcome.depth == 2 }.map(\.user).sorted()
        for limit in [10, 10_000] {
            let listing = try ShardQuery(plan, world.store.view(project: 1), buckets: [0..<1_024])
                .listing(.reached, step: 2, after: "", limit: limit)
            try #require(listing.slices > 1)
            var rest: [ByteString]?
            // One has its first slice when the other takes all that are left.
            let first = try listing.run {
                if rest == nil { rest = try? listing.run { false } }
                return false
            }
            #expect(!first.isEmpty && rest?.isEmpty == false)
            #expect(listing.merge([first, rest ?? []]) == Array(want.prefix(limit)))
        }
        let listing = try ShardQuery(plan, world.store.view(project: 1), buckets: [0..<1_024]).listing(
            .reached, step: 2, after: "", limit: 1)
        #expect(throws: MatchError.cancelled) { try listing.run { true } }
        world.store.close()
    }

    private func check(_ world: World, _ plan: FunnelPlan, _ buckets: [Range<Int>], _ cohorts: [Cohort], _ what: String) throws {
        let view = try world.store.view(project: 1)
        let scan = try ShardQuery(plan, view, buckets: buckets, cohorts: cohorts)
        let (units, expected) = world.reference(plan, buckets, cohorts)
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
                let definition = String(decoding: plan.definition.json.encode(), as: UTF8.self)
                Issue.record(
                    "\(what), times \(times): \(definition) range \(plan.entryRange) as of \(plan.asOf) cohorts \(cohorts)\ngot \(got)\nwant \(want)"
                )
                return
            }
        }
        try checkAttempts(scan, view, units, what)
        for list in ListOutcome.allCases {
            for step in 1...plan.steps { try checkList(scan, list, step: step, units, expected, what) }
        }
    }

    private func checkAttempts(_ scan: ShardQuery, _ view: StoreView, _ units: [World.Unit], _ what: String) throws {
        var got: [String] = []
        try scan.chosenAttempts().run(isCancelled: { false }) { attempt in
            let user = view.ids(ofPlaces: [attempt.place])[0]
            #expect(attempt.row.map { $0 == nil } == attempt.time.map { $0 == nil })
            got.append("\(user) \(attempt.depth) \(attempt.time) \(attempt.positions)")
        }
        let want = units.map { "\($0.user) \($0.outcome.depth) \($0.chain.map { $0?.time }) \($0.outcome.positions)" }
        #expect(got.sorted() == want.sorted(), "\(what)")
    }

    private func checkList(
        _ scan: ShardQuery, _ list: ListOutcome, step: Int, _ units: [World.Unit], _ expected: PartialResult, _ what: String
    ) throws {
        let (counts, stillOpen) = (expected.counts, expected.stillOpen ?? [])
        let plan = scan.plan
        let isOptional = plan.definition.steps[step - 1].isOptional
        guard plan.definition.countBy == .users, list.mayBe(ofOptional: isOptional) else {
            #expect(throws: MatchError.self) { try scan.listing(list, step: step, after: "", limit: 1) }
            return
        }
        let want = units.filter { $0.isIn(list, step: step, plan) }.map(\.user).sorted()
        let count: UInt64
        switch list {
        case .reached: count = counts[step - 1]
        case .dropped: count = plan.requiredRow(before: step - 1).map { counts[$0] - counts[step - 1] } ?? 0
        case .converted: count = counts[plan.steps - 1]
        case .open: count = plan.requiredRow(before: step - 1).map { stillOpen[$0..<(step - 1)].reduce(0, +) } ?? 0
        }
        func page(after: ByteString, limit: Int) throws -> [ByteString] {
            let listing = try scan.listing(list, step: step, after: after, limit: limit)
            let first = try listing.run { false }
            // The second finds no slices left.
            return listing.merge([first, try listing.run { false }])
        }
        let got = try page(after: "", limit: 1_000)
        #expect(got == want && got.count == Int(count), "\(what) \(list) \(step)")
        if let middle = want.dropFirst(want.count / 2).first {
            let after = want.filter { $0 > middle }.prefix(3)
            #expect(try page(after: middle, limit: 3) == Array(after), "\(what) \(list)")
        }
    }
}

extension ListOutcome {
    /// Nobody drops at an optional step.
    func mayBe(ofOptional isOptional: Bool) -> Bool { !isOptional || self == .reached || self == .converted }
}
