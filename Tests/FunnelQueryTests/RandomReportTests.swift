import EventStorage
import Foundation
import FunnelMatch
import FunnelModel
import FunnelQuery
import TestSupport
import Testing

/// Random breakdowns and trends over random stores, against the reference's attempts.
struct RandomReportTests {
    @Test(arguments: 0..<24)
    func breakdownsAndTrendsAgreeWithTheReference(seed: Int) throws {
        var random = SplitMix64(seed: 0xB0 + UInt64(seed))
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("sluice-report-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        let world = try World(path, seed: seed, &random)
        for round in 0..<(TestCounts.histories / 3_000) {
            let plan = random.chance(25) ? World.narrowed(world.randomPlan(&random, rules: false), &random) : world.randomPlan(&random)
            let buckets = random.chance(70) ? [0..<1_024] : [0..<300, 512..<900]
            let cohorts = world.randomCohorts(&random)
            let scan = try ShardQuery(plan, world.store.view(project: 1), buckets: buckets, cohorts: cohorts)
            let definition = String(decoding: plan.definition.json.encode(), as: UTF8.self)
            let what = "seed \(seed), round \(round): \(definition) range \(plan.entryRange) cohorts \(cohorts)"
            try checkBreakdown(world, plan, scan, buckets, cohorts, what, &random)
            if plan.definition.countBy == .users { try checkVariants(world, plan, scan, buckets, cohorts, what, &random) }
            try checkTrend(world, plan, scan, buckets, cohorts, what, &random)
            try checkSpan(world, plan, scan, buckets, cohorts, what)
            if round == 15 { try world.store.compact(everything: true) }
        }
        world.store.close()
    }

    /// Lists that lie in many pages.
    @Test(arguments: 0..<4)
    func breakdownsOverManyPagesAgreeWithTheReference(seed: Int) throws {
        var random = SplitMix64(seed: 0xC0 + UInt64(seed))
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("sluice-report-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        let world = try World(path, seed: seed, users: 2_000, &random)
        for round in 0..<8 {
            let plan = random.chance(25) ? World.narrowed(world.randomPlan(&random, rules: false), &random) : world.randomPlan(&random)
            let buckets = random.chance(50) ? [0..<1_024] : [0..<300, 512..<900]
            let scan = try ShardQuery(plan, world.store.view(project: 1), buckets: buckets)
            let definition = String(decoding: plan.definition.json.encode(), as: UTF8.self)
            try checkBreakdown(
                world, plan, scan, buckets, [], "seed \(seed), round \(round): \(definition) range \(plan.entryRange)", &random)
            if round == 3 { try world.store.compact(everything: true) }
        }
        world.store.close()
    }

    @Test(arguments: [0, 20_000, 64 << 20])
    func codesAreThoseOfTheValuesHoweverFewPagesAreKept(bytes: Int) throws {
        var random = SplitMix64(seed: 0xD0)
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("sluice-report-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        let world = try World(path, seed: 2, users: 1_000, &random)
        let view = try world.store.view(project: 1)
        for key in ["p", "q", "s"] as [ByteString] {
            var refs: [RowRef] = []
            var values: [PropertyValue?] = []
            try view.scan { user in
                for row in 0..<user.count {
                    refs.append(user.ref(row))
                    values.append(try user.property(row, key))
                }
                return true
            }
            var known: [PropertyValue] = []
            var codes = PropertyCodes(view, key, keptBytesMax: bytes)
            let found = try codes.codes(of: refs) { value in
                if !known.contains(value) { known.append(value) }
                return Int32(known.firstIndex(of: value) ?? -1)
            }
            #expect(found.map { $0 == PropertyCodes.none ? nil : known[Int($0)] } == values)
            #expect(try codes.areEqual([refs[0], refs[0]]) && codes.areEqual(refs) == (Set(values).count == 1))
        }
        world.store.close()
    }

    private func checkBreakdown(
        _ world: World, _ plan: FunnelPlan, _ scan: ShardQuery, _ buckets: [Range<Int>], _ cohorts: [Cohort], _ what: String,
        _ random: inout SplitMix64
    ) throws {
        let touch: Breakdown.Touch = random.pick([.first, .last, .step(1), .step(plan.steps)])
        let breakdown = Breakdown(property: random.pick(["p", "q", "s", "none", "user.plan", "user.p"]), touch: touch)
        let running = scan.breakdown(breakdown, times: true)
        var (whole, tally) = try running.run { false }
        // The second finds no slices left.
        let rest = try running.run { false }
        whole.merge(rest.whole)
        try tally.merge(rest.groups)
        let plain = try scan.counting(times: true).run { false }
        #expect(whole.finish(buckets: buckets, newestEvent: nil) == plain.finish(buckets: buckets, newestEvent: nil), "\(what)")
        let none = Array(repeating: UInt64(0), count: plan.steps)
        var (want, absent): ([PropertyValue: [UInt64]], [UInt64]) = ([:], none)
        for unit in world.units(plan, buckets, cohorts) {
            let value = Self.value(breakdown, unit.byStep(plan.steps), world.users[unit.user])
            for i in unit.chain.indices where unit.chain[i] != nil {
                if let value { want[value, default: none][i] += 1 } else { absent[i] += 1 }
            }
        }
        #expect(try tally.finish() == ValueGroups(absent: absent, want), "\(what), \(breakdown)")
    }

    private func checkVariants(
        _ world: World, _ plan: FunnelPlan, _ scan: ShardQuery, _ buckets: [Range<Int>], _ cohorts: [Cohort], _ what: String,
        _ random: inout SplitMix64
    ) throws {
        let property: ByteString = random.pick(["p", "q", "s", "none", "user.plan"])
        let touch: Breakdown.Touch = random.pick([.first, .last, .step(1), .step(plan.steps)])
        let split = VariantSplit(property: property, exposure: random.chance(60) ? .first : .attempt(touch))
        let running = scan.variants(split, times: true)
        var (whole, tally, several) = try running.run { false }
        // The second finds no slices left.
        let rest = try running.run { false }
        whole.merge(rest.whole)
        try tally.merge(rest.groups)
        several += rest.several
        let plain = try scan.counting(times: true).run { false }
        #expect(whole.finish(buckets: buckets, newestEvent: nil) == plain.finish(buckets: buckets, newestEvent: nil), "\(what)")
        let none = Array(repeating: UInt64(0), count: plan.steps)
        var (want, absent): ([PropertyValue: [UInt64]], [UInt64]) = ([:], none)
        var wantSeveral = 0
        for unit in world.units(plan, buckets, cohorts) {
            let user = world.users[unit.user]
            let seen = user.map { Self.seen(property, $0, plan) } ?? []
            wantSeveral += Set(seen).count > 1 ? 1 : 0
            let value =
                split.exposure == .first
                ? seen.first : Self.value(Breakdown(property: property, touch: touch), unit.byStep(plan.steps), user)
            for i in unit.chain.indices where unit.chain[i] != nil {
                if let value { want[value, default: none][i] += 1 } else { absent[i] += 1 }
            }
        }
        #expect(try tally.finish() == ValueGroups(absent: absent, want) && several == wantSeveral, "\(what), \(split)")
    }

    /// The values of the events in the range that may start an attempt, in order.
    private static func seen(_ property: ByteString, _ user: OneUser, _ plan: FunnelPlan) -> [PropertyValue] {
        let starting = plan.definition.order == .any ? StepSet.all : StepSet(only: 0)
        return user.events.filter { event in
            plan.entryRange.contains(event.time)
                && !(plan.narrow(plan.positions(ofEvent: event.name)) { user.value(event, $0) } & starting).isEmpty
        }.compactMap { user.value($0, property)?.canonical }
    }

    /// The value as the rules have it.
    static func value(_ breakdown: Breakdown, _ chain: [Event?], _ user: OneUser?) -> PropertyValue? {
        let values = chain.map { event in event.flatMap { user?.value($0, breakdown.property) } }
        let value: PropertyValue?
        if let property = breakdown.property.userPropertyName { return user?.userValue(property)?.canonical }
        switch breakdown.touch {
        case .first: value = values.compactMap(\.self).first
        case .last: value = values.compactMap(\.self).last
        case .step(let number): value = number <= values.count ? values[number - 1] : nil
        }
        if case .double(let number)? = value, number == number.rounded() { return .integer(Int64(number)) }
        return value
    }

    private func checkTrend(
        _ world: World, _ plan: FunnelPlan, _ scan: ShardQuery, _ buckets: [Range<Int>], _ cohorts: [Cohort], _ what: String,
        _ random: inout SplitMix64
    ) throws {
        // Whole seconds go through the kernel in one pass, others need not.
        let grain: Int64 = random.chance(70) ? 1_000_000 : 1
        var bounds: Set<Int64> = []
        while bounds.count < 2 + random.below(8) {
            let time = random.pick(world.events).time + Int64(random.below(5_000_000)) - 2_500_000
            bounds.insert(Timestamp.floorDivide(time, grain) * grain)
        }
        let sorted = bounds.sorted()
        let running = scan.trend(sorted)
        var tally = try running.run { false }
        tally.merge(try running.run { false })
        let want = zip(sorted, sorted.dropFirst()).map { low, high in
            world.reference(FunnelPlan(plan.definition, entryRange: low..<high, asOf: plan.asOf), buckets, cohorts).1.counts
        }
        #expect(tally.finish() == want, "\(what), bounds \(sorted)")
    }

    private func checkSpan(
        _ world: World, _ plan: FunnelPlan, _ scan: ShardQuery, _ buckets: [Range<Int>], _ cohorts: [Cohort], _ what: String
    ) throws {
        let starting = plan.definition.order == .any ? StepSet.all : StepSet(only: 0)
        let members = world.members(cohorts, asOf: plan.asOf)
        let times = world.events.filter { event in
            let bucket = ClusterMap.bucket(ofUser: event.user)
            guard buckets.contains(where: { $0.contains(bucket) }), plan.entryRange.contains(event.time), members.contains(event.user)
            else { return false }
            let user = world.users[event.user]
            return !(plan.narrow(plan.positions(ofEvent: event.name)) { user?.value(event, $0) } & starting).isEmpty
        }.map(\.time).sorted()
        let got = try scan.entrySpan().run { false }
        #expect(got?.lowerBound == times.first && got?.upperBound == times.last, "\(what)")
    }

    @Test func tooManyValuesAreAnErrorAndNotAnEstimate() throws {
        var tally = GroupTally(steps: 2, valuesMax: 3, bytesMax: 100)
        for value in 0..<3 { try tally.add(.integer(Int64(value)), depth: 1) }
        try tally.add(.double(2), depth: 2)
        try tally.add(nil, depth: 2)
        #expect(throws: TooManyValues.self) { try tally.add(.integer(3), depth: 1) }
        #expect(throws: TooManyValues.self) {
            var bytes = GroupTally(steps: 2, valuesMax: 3, bytesMax: 100)
            try bytes.add(.string(ByteString(String(repeating: "x", count: 97))), depth: 1)
        }
        var other = GroupTally(steps: 2, valuesMax: 3, bytesMax: 100)
        try other.add(.integer(2), depth: 2)
        try tally.merge(other)
        let groups = try tally.finish()
        #expect(groups.absent == [1, 1] && groups.counts(of: .integer(2)) == [3, 2] && groups.count == 3)
        try other.add(.string("2"), depth: 1)
        #expect(throws: TooManyValues.self) { try tally.merge(other) }
    }
}
