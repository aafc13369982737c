import EventStorage
import Foundation
import FunnelMatch
import FunnelModel
import FunnelQuery
import TestSupport
import Testing

/// Users with more events than a query reads of one, and users whose search takes too much work: named, or left out of
/// every report as if they were not there.
struct HeavyUserTests {
    private static let all = [0..<1_024]

    private func withWorld(_ seed: Int, _ body: (World, inout SplitMix64) throws -> Void) throws {
        var random = SplitMix64(seed: 0xAB0 + UInt64(seed))
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("sluice-heavy-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        let world = try World(path, seed: seed, &random)
        try body(world, &random)
        world.store.close()
    }

    /// What a report says, in words that can be compared, and its scan.
    private typealias Report = (name: String, run: (ShardQuery) throws -> String)

    private static func reports(_ plan: FunnelPlan) -> [Report] {
        func counts(_ tally: FunnelTally) -> String { "\(tally.finish(buckets: all, newestEvent: nil))" }
        func groups(_ tally: GroupTally) throws -> String {
            let found = try tally.finish()
            return "\(found.absent) \(found.byValue.map { "\($0.key) \($0.value)" }.sorted())"
        }
        let (low, high): (Int64, Int64) = (1_700_000_000_000_000, 1_710_000_000_000_000)
        var reports: [Report] = [
            ("counts", { counts(try $0.counting(times: false).run { false }) }),
            ("times", { counts(try $0.counting(times: true).run { false }) }),
            (
                "breakdown",
                { scan in
                    let found = try scan.breakdown(Breakdown(property: "s", touch: .last), times: true).run { false }
                    return counts(found.whole) + (try groups(found.groups))
                }
            ),
            (
                "breakdown by users",
                { scan in
                    let found = try scan.breakdown(Breakdown(property: "user.plan", touch: .first), times: false).run { false }
                    return counts(found.whole) + (try groups(found.groups))
                }
            ),
            ("trend", { "\(try $0.trend([low, low + 86_400_000_000, high]).run { false }.finish())" }),
            ("span", { "\(String(describing: try $0.entrySpan().run { false }))" }),
        ]
        guard plan.definition.countBy == .users else { return reports }
        reports += [
            (
                "variants",
                { scan in
                    let found = try scan.variants(VariantSplit(property: "q", exposure: .first), times: false).run { false }
                    return counts(found.whole) + (try groups(found.groups)) + "\(found.several)"
                }
            ),
            ("users", { "\(try $0.listing(.reached, step: 1, after: "", limit: 1_000).run { false })" }),
            (
                "pairs",
                { scan in
                    let running = scan.paired(with: FunnelDefinition(steps: [.init("a"), .init("c")]))
                    try running.run { false }
                    return "\(running.finish())"
                }
            ),
        ]
        guard plan.steps > 1 else { return reports }
        reports.append(("between", { "\(try $0.times(from: 0, to: 1).run { false }.times.finish())" }))
        if !plan.definition.steps[1].isOptional {
            reports.append(
                (
                    "paths",
                    { scan in
                        let found = try scan.paths(PathQuestion(.dropped(2), length: 3, events: .all)).run { false }.finish()
                        return "\(found.users.map { "\($0.key) \($0.value)" }.sorted())"
                    }
                ))
        }
        return reports
    }

    /// The report without users who are too heavy, and their places.
    private func leavingOut(_ scan: ShardQuery, _ report: Report) throws -> (String, [Int]) {
        var (scan, left) = (scan, [Int]())
        while true {
            let found = try report.run(scan)
            let heavy = scan.heavy.places
            if heavy.isEmpty { return (found, left.sorted()) }
            #expect(Set(left).isDisjoint(with: heavy))
            left += heavy
            scan = scan.without(heavy)
        }
    }

    @Test(arguments: 0..<12)
    func usersWithTooManyEventsAreNamedOrLeftOut(seed: Int) throws {
        try withWorld(seed) { world, random in
            var met = 0
            for round in 0..<40 {
                let plan = round % 3 == 0 ? World.narrowed(world.randomPlan(&random, rules: false), &random) : world.randomPlan(&random)
                let cohorts = world.randomCohorts(&random)
                let view = try world.store.view(project: 1)
                // Of 4: many are too heavy; of 400: nobody is, but slices are cut.
                let rowsMax = random.pick([4, 8, 12, 400])
                func scan(_ heavy: HeavyUsers) throws -> ShardQuery {
                    try ShardQuery(plan, view, buckets: Self.all, cohorts: cohorts, heavy: heavy)
                }
                for report in Self.reports(plan) {
                    let definition = String(decoding: plan.definition.json.encode(), as: UTF8.self)
                    let what = "seed \(seed), round \(round), \(report.name), \(rowsMax) rows: \(definition) cohorts \(cohorts)"
                    let (got, left) = try leavingOut(try scan(HeavyUsers(areNoted: true, rowsMax: rowsMax)), report)
                    let want = try report.run(try scan(HeavyUsers(areNoted: true)).without(left))
                    #expect(got == want, "\(what), left \(left)")
                    met += left.count
                    let failing = try scan(HeavyUsers(areNoted: false, rowsMax: rowsMax))
                    if left.isEmpty {
                        #expect(try report.run(failing) == want, "\(what)")
                    } else {
                        let named = #expect(throws: HeavyUser.self, "\(what)") { _ = try report.run(failing) }
                        #expect(named?.reason == .tooManyEvents(limit: rowsMax) && left.contains(named?.place ?? -1), "\(what)")
                    }
                    if rowsMax == 400 { #expect(left.isEmpty, "\(what)") }
                }
            }
            #expect(met > 100)
        }
    }

    /// 1,500 events within an hour that a chain may take in any place, and an excluded event beside them.
    @Test func aUserWhoTakesTooMuchWorkIsNamedOrLeftOut() throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("sluice-heavy-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        let store = try ShardStore.open(
            directory: path, files: POSIXFileSystem(), identity: StoreIdentity(clusterID: 1, shard: 0, shardCount: 1, epoch: 1),
            options: StoreOptions())
        var events: [Event] = []
        let start: Int64 = 1_700_000_000_000_000
        for user in 0..<50 {
            for (i, name) in (["A", "C", "B", "A"] as [ByteString]).enumerated() {
                events.append(Event(user: ByteString("user\(user)"), name: name, time: start + Int64(user + 60 * i) * 1_000_000))
            }
        }
        var random = SplitMix64(seed: 4)
        for _ in 0..<1_500 {
            events.append(
                Event(user: "robot", name: random.pick(["A", "B", "C", "X"]), time: start + Int64(random.below(3_600)) * 1_000_000))
        }
        let batch = EventBatchBuilder(events).finish()
        _ = try store.append([AppendRequest(project: 1, producer: 1, sequence: 1, part: 0, batch: batch)]).map { try $0.get() }
        var definition = FunnelDefinition(
            steps: (["A", "C", "B", "A"] as [ByteString]).enumerated().map {
                FunnelDefinition.Step(ByteString("\($0)"), events: .named([$1]))
            })
        definition.order = .flexible(limit: 3_600_000_000)
        definition.window = 86_400_000_000
        definition.exclusions = [.init(events: .named(["X"]), after: 1, before: 4, effect: .dropUser)]
        let plan = FunnelPlan(definition, entryRange: nil, asOf: 1 << 59)
        let view = try store.view(project: 1)
        let failing = ShardQuery(plan, view, buckets: Self.all)
        let named = #expect(throws: HeavyUser.self) { try failing.counting(times: false).run { false } }
        #expect(named.map { failing.user(at: $0.place) } == "robot")
        #expect(named?.reason == .workBudget(limit: Limits.userWork))
        let noting = ShardQuery(plan, view, buckets: Self.all, heavy: HeavyUsers(areNoted: true))
        _ = try noting.counting(times: false).run { false }
        #expect(noting.heavy.places.map { noting.user(at: $0) } == ["robot"])
        let rest = noting.without(noting.heavy.places)
        #expect(try rest.counting(times: false).run { false }.finish(buckets: Self.all, newestEvent: nil).counts == [50, 50, 50, 50])
        #expect(rest.heavy.places.isEmpty)
        #expect(throws: HeavyUser.self) { try noting.explain("robot") { false } }
        store.close()
    }

    /// What reads ends too, in the middle of one user's rows.
    @Test func readingEndsWhenNobodyWaits() throws {
        try withWorld(1) { world, random in
            var view = try world.store.view(project: 1)
            view.isCancelled = { true }
            for order in [.sequential, .strict, .any] as [FunnelDefinition.ConversionOrder] {
                var definition = FunnelDefinition(steps: [.init("a"), .init("b")])
                definition.order = order
                definition.steps[0].filters = [World.filter(&random)]
                let scan = ShardQuery(FunnelPlan(definition, entryRange: nil, asOf: 1 << 59), view, buckets: Self.all)
                #expect(throws: (any Error).self) {
                    try scan.breakdown(Breakdown(property: "p", touch: .first), times: false).run { false }
                }
            }
        }
    }
}
