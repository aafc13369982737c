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
            let plan = world.randomPlan(&random)
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
}
