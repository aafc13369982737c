import EventStorage
import Foundation
import FunnelMatch
import FunnelModel
import FunnelQuery
import TestSupport
import Testing

/// Two random funnels over random stores, against the reference's attempts.
struct RandomPairedTests {
    @Test(arguments: 0..<6)
    func twoFunnelsAgreeWithTheReference(seed: Int) throws {
        var random = SplitMix64(seed: 0xF0 + UInt64(seed))
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("sluice-paired-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        let world = try World(path, seed: seed, &random)
        for round in 0..<(TestCounts.histories / 3_000) {
            // Pairs are of users.
            func plan(_ like: FunnelPlan) -> FunnelPlan {
                var definition = like.definition
                definition.countBy = .users
                return FunnelPlan(definition, entryRange: like.entryRange, asOf: like.asOf)
            }
            let first = plan(world.randomPlan(&random))
            let other = plan(world.randomPlan(&random))
            let buckets = random.chance(70) ? [0..<1_024] : [0..<300, 512..<900]
            let cohorts = world.randomCohorts(&random)
            let scan = try ShardQuery(first, world.store.view(project: 1), buckets: buckets, cohorts: cohorts)
            let running = scan.paired(with: other.definition)
            try running.run { false }
            // The second finds no slices left.
            try running.run { false }
            let second = FunnelPlan(other.definition, entryRange: first.entryRange, asOf: first.asOf)
            func depths(_ plan: FunnelPlan) -> [ByteString: Int] {
                Dictionary(uniqueKeysWithValues: world.units(plan, buckets, cohorts).map { ($0.user, $0.outcome.depth) })
            }
            let (a, b) = (depths(first), depths(second))
            var want = PairedCounts()
            for user in Set(a.keys).union(b.keys) {
                let did = [a[user] == first.steps, b[user] == second.steps]
                switch (a[user] != nil, b[user] != nil) {
                case (true, true):
                    let cell: WritableKeyPath<PairedCounts, UInt64> =
                        did[0] ? (did[1] ? \.both : \.firstOnly) : (did[1] ? \.secondOnly : \.neither)
                    want[keyPath: cell] += 1
                case (true, false):
                    want.aloneInFirst.entered += 1
                    want.aloneInFirst.converted += did[0] ? 1 : 0
                default:
                    want.aloneInSecond.entered += 1
                    want.aloneInSecond.converted += did[1] ? 1 : 0
                }
            }
            #expect(running.finish() == want, "seed \(seed), round \(round)")
        }
        world.store.close()
    }
}
