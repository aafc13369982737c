import EventStorage
import Foundation
import FunnelMatch
import FunnelModel
import FunnelQuery
import TestSupport
import Testing

/// Random paths and predictors under random rules over random stores, whole and by shards, against a look at every user
/// by hand.
struct RandomPathsTests {
    @Test(arguments: 0..<24)
    func pathsAndPredictorsAgreeWithALookAtEveryUser(seed: Int) async throws {
        var random = SplitMix64(seed: 0xD0 + UInt64(seed))
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("sluice-behaviour-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        // The last has users of several slices.
        let isLarge = seed == 23
        let world = try World(path, seed: seed, users: isLarge ? 5_000 : 60, &random)
        for round in 0..<(TestCounts.histories / (isLarge ? 10_000 : 1_000)) {
            let plan = world.randomPlan(&random)
            let cohorts = world.randomCohorts(&random)
            let definition = String(decoding: plan.definition.json.encode(), as: UTF8.self)
            let shards = random.pick([1, 2, 5])
            let what = "seed \(seed), round \(round), \(shards) shards: \(definition) range \(plan.entryRange) cohorts \(cohorts)"
            if plan.steps > 1 {
                let scans = try (0..<shards).map { shard in
                    let buckets = [ClusterMap.buckets(ofShard: shard, of: shards)]
                    return try ShardQuery(plan, world.store.view(project: 1), buckets: buckets, cohorts: cohorts)
                }
                let questions = (randomPaths(plan, &random), randomPredictors(plan, &random))
                if plan.definition.countBy == .users {
                    let units = world.units(plan, [0..<1_024], cohorts)
                    try await checkPaths(world, units, plan, questions.0, scans, what)
                    try await checkPredictors(world, units, plan, questions.1, scans, what)
                } else {
                    #expect(throws: MatchError.notUsers, "\(what)") { try scans[0].paths(questions.0).run { false } }
                    #expect(throws: MatchError.notUsers, "\(what)") { try scans[0].predictors(questions.1).run { false } }
                }
            }
            if round == 15 { try world.store.compact(everything: true) }
        }
        world.store.close()
    }

    // MARK: - Paths

    private func randomPaths(_ plan: FunnelPlan, _ random: inout SplitMix64) -> PathQuestion {
        let first = 1 + random.below(plan.steps - 1)
        let required = (2...plan.steps).filter { !plan.definition.steps[$0 - 1].isOptional }
        return PathQuestion(
            random.chance(60) ? .dropped(random.pick(required)) : .between(first, first + 1 + random.below(plan.steps - first)),
            length: 1 + random.below(5), events: random.pick([.all, .all, .only(["e", "a", "missing", "a"]), .except(["b", "missing"])]))
    }

    private func checkPaths(
        _ world: World, _ units: [World.Unit], _ plan: FunnelPlan, _ question: PathQuestion, _ scans: [ShardQuery], _ what: String
    ) async throws {
        var got = PathCounts()
        for scan in scans {
            let running = scan.paths(question)
            async let other = running.run { false }
            var tally = try running.run { false }
            try tally.merge(try await other)
            got.merge(try tally.finish())
        }
        var want = PathCounts()
        for unit in units {
            let after: Int64
            let isBefore: (Event) -> Bool
            switch question.origin {
            case .dropped(let step):
                guard unit.isIn(.dropped, step: step, plan), let last = unit.chain.compactMap({ $0?.time }).max() else { continue }
                after = last
                isBefore = { isInWindow($0, unit, plan) }
            case .between(let i, let j):
                guard let first = unit.time(ofRow: i), let second = unit.time(ofRow: j) else { continue }
                after = first
                isBefore = { $0.time < second }
            }
            let next = (world.users[unit.user]?.events ?? []).filter { event in
                switch question.events {
                case .all: if World.profiles.contains(event.name) { return false }
                case .only(let names): if !names.contains(event.name) { return false }
                case .except(let names): if names.contains(event.name) || World.profiles.contains(event.name) { return false }
                }
                return event.time > after && isBefore(event)
            }
            want.users[next.prefix(question.length).map(\.name), default: 0] += 1
        }
        #expect(got == want, "\(what), \(question)")
    }

    private func isInWindow(_ event: Event, _ unit: World.Unit, _ plan: FunnelPlan) -> Bool {
        guard let base = unit.time(ofRow: plan.definition.anchor == .firstStep ? 1 : unit.chain.count) else { return false }
        return plan.ticks(event.time) - plan.ticks(base) <= plan.window.count
    }

    // MARK: - Predictors

    private func randomPredictors(_ plan: FunnelPlan, _ random: inout SplitMix64) -> PredictorQuestion {
        let step = 2 + random.below(plan.steps - 1)
        return PredictorQuestion(step: step, of: 1 + random.below(step - 1), properties: random.chance(80))
    }

    private func checkPredictors(
        _ world: World, _ units: [World.Unit], _ plan: FunnelPlan, _ question: PredictorQuestion, _ scans: [ShardQuery], _ what: String
    ) async throws {
        var got = PredictorCounts()
        for scan in scans {
            let running = scan.predictors(question)
            async let other = running.run { false }
            var tally = try running.run { false }
            try tally.merge(try await other)
            got.merge(try tally.finish())
        }
        #expect(got == predictors(world, units, plan, question), "\(what), \(question)")
    }

    private func predictors(
        _ world: World, _ units: [World.Unit], _ plan: FunnelPlan, _ question: PredictorQuestion
    ) -> PredictorCounts {
        func names(_ steps: ArraySlice<FunnelDefinition.Step>) -> Set<ByteString> {
            var names: Set<ByteString> = []
            for step in steps { if case .named(let own) = step.events { names.formUnion(own) } }
            return names
        }
        let ofSteps = names(plan.definition.steps[...])
        // In any order, which steps a user has left differs.
        let ofLater = plan.definition.order == .any ? ofSteps : names(plan.definition.steps[question.of...])
        var want = PredictorCounts()
        for unit in units {
            guard let start = unit.time(ofRow: 1), let done = unit.time(ofRow: question.of) else { continue }
            let reached = unit.time(ofRow: question.step)
            let one = PredictorCounts.Users(1, converted: reached == nil ? 0 : 1)
            want.whole = want.whole + one
            let seen = (world.users[unit.user]?.events ?? []).filter { event in
                !World.profiles.contains(event.name) && event.time >= start
                    && (reached.map { event.time < $0 } ?? isInWindow(event, unit, plan))
            }
            for name in Set(seen.map(\.name)).subtracting(ofSteps) { want.events[name] = (want.events[name] ?? .init()) + one }
            if !question.properties { continue }
            var pairs: [ByteString: Set<PropertyValue>] = [:]
            for event in seen where event.time <= done || !ofLater.contains(event.name) {
                for property in event.properties { pairs[property.key, default: []].insert(property.value.canonical) }
            }
            for (property, values) in pairs {
                for value in values {
                    want.properties[property, default: [:]][value] = (want.properties[property]?[value] ?? .init()) + one
                }
            }
        }
        return want
    }
}

/// What is refused, or left out, rather than guessed.
struct PathsLimitTests {
    @Test func tooManyPathsAreAnErrorAndNotAnEstimate() throws {
        func path(_ names: Int...) -> PathTally.Path { names.reduce(into: PathTally.Path()) { $0.append($1) } }
        var tally = PathTally(names: ["a", "b"], pathsMax: 3, bytesMax: 1_000)
        for next in [path(), path(0), path(0, 1), path(0)] { try tally.add(next) }
        #expect(try tally.finish().users == [[]: 1, ["a"]: 2, ["a", "b"]: 1])
        #expect(throws: TooManyPaths.self) { try tally.add(path(1, 1, 1, 1, 1)) }
        var long = PathTally(names: [ByteString(String(repeating: "x", count: 80))], pathsMax: 3, bytesMax: 100)
        try long.add(path(0))
        #expect(throws: TooManyPaths.self) { try long.finish() }
    }

    @Test func tooManyFeaturesAreAnError() throws {
        var tally = PredictorTally(events: ["a", "b", "c"], properties: [], featuresMax: 2, bytesMax: 1_000)
        let user = tally.add(converted: true)
        for event in [0, 1, 1] { tally.add(event: event, of: user) }
        #expect(try tally.finish().events == ["a": .init(1, converted: 1), "b": .init(1, converted: 1)])
        tally.add(event: 2, of: user)
        #expect(throws: TooManyFeatures.self) { try tally.finish() }
    }

    /// In one shard and over two, which each have fewer.
    @Test func aPropertyOfTooManyValuesIsLeftOutAndNamed() throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("sluice-values-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        let store = try ShardStore.open(
            directory: path, files: POSIXFileSystem(), identity: StoreIdentity(clusterID: 1, shard: 0, shardCount: 1, epoch: 1),
            options: StoreOptions())
        let events = (0..<Limits.predictorValues + 1).map { i in
            Event(
                user: ByteString("u\(i)"), name: "a", time: 1_700_000_000_000_000 + Int64(i),
                properties: [
                    .init("all", .integer(7)), .init("each", .integer(Int64(i))), .init("few", .integer(Int64(i % Limits.predictorValues))),
                ])
        }
        _ = try store.append([AppendRequest(project: 1, producer: 1, sequence: 1, part: 0, batch: EventBatchBuilder(events).finish())])
        let plan = FunnelPlan(FunnelDefinition(steps: [.init("a"), .init("b")]), entryRange: nil, asOf: 1 << 59)
        func counts(_ buckets: Range<Int>) throws -> PredictorCounts {
            let scan = try ShardQuery(plan, store.view(project: 1), buckets: [buckets])
            return try scan.predictors(PredictorQuestion(step: 2, of: 1, properties: true)).run { false }.finish()
        }
        let whole = try counts(0..<1_024)
        #expect(whole.leftOut == ["each"] && whole.properties.keys.sorted() == ["all", "few"])
        #expect(whole.properties["few"]?.count == Limits.predictorValues && whole.properties["few"]?[.integer(0)]?.count == 2)
        var halves = try counts(0..<512)
        #expect(halves.leftOut.isEmpty)
        halves.merge(try counts(512..<1_024))
        #expect(halves == whole)
        store.close()
    }

    /// Whatever step a user has left, to do it is no sign, and neither is an event that `event_types` maps to a step.
    @Test func inAnyOrderEveryStepMayBeBehind() throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("sluice-behind-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        let store = try ShardStore.open(
            directory: path, files: POSIXFileSystem(), identity: StoreIdentity(clusterID: 1, shard: 0, shardCount: 1, epoch: 1),
            options: StoreOptions())
        let rows: [(ByteString, ByteString, Int64)] = [
            ("one", "a", 1), ("one", "x", 2), ("one", "other", 3), ("one", "c", 4), ("two", "b", 11), ("two", "a", 12),
            ("two", "other", 13),
        ]
        let events = rows.map {
            Event(user: $0, name: $1, time: 1_700_000_000_000_000 + $2 * 1_000_000, properties: [.init("p", .integer($2))])
        }
        _ = try store.append([AppendRequest(project: 1, producer: 1, sequence: 1, part: 0, batch: EventBatchBuilder(events).finish())])
        let definition = try FunnelDefinition.parse(
            ["steps": ["a", "b", "c"], "event_types": ["x": "b"], "conversion_order": "any", "window_duration": "1h"])
        let scan = try ShardQuery(FunnelPlan(definition, entryRange: nil, asOf: 1 << 59), store.view(project: 1), buckets: [0..<1_024])
        let counts = try scan.predictors(PredictorQuestion(step: 3, of: 1, properties: true)).run { false }.finish()
        #expect(counts.whole == .init(2, converted: 1) && counts.events == ["other": .init(2, converted: 1)])
        let (did, didNot) = (PredictorCounts.Users(1, converted: 1), PredictorCounts.Users(1))
        #expect(counts.properties == ["p": [.integer(1): did, .integer(3): did, .integer(11): didNot, .integer(13): didNot]])
        let paths = try scan.paths(PathQuestion(.between(1, 2), length: 3)).run { false }.finish()
        #expect(paths.users == [[]: 2])
        store.close()
    }

    @Test func aScanEndsWhenItIsCancelled() throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("sluice-cancel-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        var random = SplitMix64(seed: 1)
        let world = try World(path, seed: 1, &random)
        let plan = FunnelPlan(FunnelDefinition(steps: [.init("a"), .init("b")]), entryRange: nil, asOf: 1 << 59)
        let scan = try ShardQuery(plan, world.store.view(project: 1), buckets: [0..<1_024])
        #expect(throws: MatchError.self) { try scan.paths(PathQuestion(.dropped(2), length: 3)).run { true } }
        #expect(throws: MatchError.self) { try scan.predictors(PredictorQuestion(step: 2, of: 1, properties: true)).run { true } }
        world.store.close()
    }
}
