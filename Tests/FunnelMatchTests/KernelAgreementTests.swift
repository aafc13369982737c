import FunnelMatch
import FunnelModel
import TestSupport
import Testing

/// Kernels against the matchers that look at one user at a time. Small histories of many users are packed into slices
/// and judged by the reference; long lists, whose users the reference could not finish, by `PlainMatcher`.
struct KernelAgreementTests {
    struct Mode: Sendable, CustomTestStringConvertible {
        var slack: Int64
        var anchor: FunnelDefinition.WindowAnchor
        var entry: FunnelDefinition.Entry

        var testDescription: String { "slack \(slack) \(anchor.rawValue) \(entry.rawValue)" }
    }

    static let modes: [Mode] = [0, 1, 2, 3, 5].flatMap { slack in
        FunnelDefinition.WindowAnchor.allCases.flatMap { anchor in
            FunnelDefinition.Entry.allCases.map { Mode(slack: slack, anchor: anchor, entry: $0) }
        }
    }
    static let scanModes = modes.filter { $0.slack <= 1 && $0.anchor == .firstStep }

    private func randomCase(_ mode: Mode, span: Int = 9, _ random: inout SplitMix64) -> KernelCase {
        KernelCase(slack: mode.slack, anchor: mode.anchor, entry: mode.entry, span: span, &random)
    }

    private func randomSlice(_ kernelCase: KernelCase, _ random: inout SplitMix64) throws -> PackedSlice {
        let users = (0..<random.pick([1, 2, 3, 40, 100])).map { _ in
            kernelCase.user(events: random.below(8), &random)
        }
        return try PackedSlice(users, plan: kernelCase.plan, extraBits: random.below(48))
    }

    @Test(arguments: modes.indices)
    func countsEqualReference(modeIndex: Int) throws {
        let mode = Self.modes[modeIndex]
        var random = SplitMix64(seed: 0xC0DE + UInt64(modeIndex))
        var left = TestCounts.histories / 2
        while left > 0 {
            let kernelCase = randomCase(mode, &random)
            var want = Array(repeating: 0, count: kernelCase.plan.steps)
            let reference = ReferenceMatcher(kernelCase.plan)
            let slice = try randomSlice(kernelCase, &random)
            left -= slice.users.count
            var counter = DepthCounter(slice.rules)
            counter.add(slice.lists, listOfStep: slice.listOfStep)
            counter.add(slice.lists, listOfStep: slice.listOfStep)
            let outcomes = slice.users.map { reference.match(time: $0.time, mask: $0.mask) }
            for (k, n) in PackedSlice.counts(outcomes, steps: want.count).enumerated() { want[k] = 2 * n }
            let got = counter.counts
            try #require(got == want, "\(mode.testDescription) \(kernelCase.plan.definition) \(slice.rules)")
        }
    }

    @Test(arguments: scanModes.indices)
    func attemptsEqualReference(modeIndex: Int) throws {
        let mode = Self.scanModes[modeIndex]
        var random = SplitMix64(seed: 0xA77E + UInt64(modeIndex))
        var left = TestCounts.histories
        while left > 0 {
            let kernelCase = randomCase(mode, &random)
            let reference = ReferenceMatcher(kernelCase.plan)
            let slice = try randomSlice(kernelCase, &random)
            left -= slice.users.count
            let want = slice.users.map { reference.match(time: $0.time, mask: $0.mask) }
            try checkScan(slice, want, mode)
        }
    }

    private func scanner(_ rules: KernelRules, includeShallow: Bool) throws -> AttemptScan {
        guard let scan = AttemptScan(rules, includeShallow: includeShallow) else { throw MatchError.cancelled }
        return scan
    }

    /// With rows for everyone, and with rows from step 2 on.
    private func checkScan(_ slice: PackedSlice, _ want: [UserOutcome], _ mode: Mode) throws {
        var full = try scanner(slice.rules, includeShallow: true)
        full.scan(slice.lists, listOfStep: slice.listOfStep)
        let got = slice.outcomes(full)
        let wrong = got.indices.first { got[$0] != want[$0] }.map { "\(slice.users[$0]) \(got[$0]) not \(want[$0])" }
        try #require(wrong == nil, "\(mode.testDescription) \(slice.rules) \(wrong ?? "")")
        let entered = full.entered
        #expect(entered == [want.count { $0.depth > 0 }])

        var deep = try scanner(slice.rules, includeShallow: false)
        deep.scan(slice.lists, listOfStep: slice.listOfStep)
        let deepEntered = deep.entered
        let shallowOpen = deep.shallowOpen
        #expect(deepEntered == entered)
        #expect(shallowOpen == [want.count { $0.depth == 1 && $0.openDepth == 1 && slice.rules.steps > 1 }])
        let gotDeep = slice.outcomes(deep)
        try #require(gotDeep == want.map { $0.depth > 1 ? $0 : UserOutcome() }, "\(mode.testDescription) \(slice.rules)")
    }

    /// Microseconds.
    private func randomBoundaries(_ users: [PackedSlice.User], _ kernelCase: KernelCase, _ random: inout SplitMix64) -> [Int64] {
        let plan = kernelCase.plan
        let lowest = users.flatMap(\.time).min() ?? 0
        let cuts = (0..<random.below(5)).map { _ in
            (plan.ticks(lowest) + Int64(random.below(kernelCase.span))) * plan.tick
        }
        return Set(cuts.filter { $0 > 0 }).sorted()
    }

    /// One after the other, in each group by itself.
    @Test(arguments: scanModes.indices.filter { scanModes[$0].entry != .first })
    func serialAttemptsEqualReference(modeIndex: Int) throws {
        let mode = Self.scanModes[modeIndex]
        var random = SplitMix64(seed: 0x5E21 + UInt64(modeIndex))
        var left = TestCounts.histories / 2
        while left > 0 {
            let isGrouped = random.chance(30)
            let kernelCase = KernelCase(
                slack: mode.slack, anchor: mode.anchor, entry: mode.entry, span: random.pick([9, 9, 20]), ranged: !isGrouped,
                countBy: .attempts, &random)
            let plan = kernelCase.plan
            let users = (0..<(1 + random.below(60))).map { _ in kernelCase.user(events: random.below(11), &random) }
            left -= users.count
            let boundaries = isGrouped ? randomBoundaries(users, kernelCase, &random) : []
            let slice = try PackedSlice(users, plan: plan, extraBits: random.below(20), boundaries: boundaries)
            var full = try scanner(slice.rules, includeShallow: true)
            var deep = try scanner(slice.rules, includeShallow: false)
            full.scan(slice.lists, listOfStep: slice.listOfStep)
            deep.scan(slice.lists, listOfStep: slice.listOfStep)
            let (entered, deepEntered, open) = (full.entered, deep.entered, deep.shallowOpen)
            #expect(deepEntered == entered && open.allSatisfy { $0 == 0 })
            let edges = [Int64.min] + boundaries + [Int64.max]
            for group in 0...boundaries.count {
                let range = isGrouped ? edges[group]..<edges[group + 1] : plan.entryRange
                let reference = ReferenceMatcher(FunnelPlan(plan.definition, entryRange: range, asOf: plan.asOf))
                let want = users.map { reference.outcomes(of: UserHistory(time: $0.time, mask: $0.mask)) }
                let got = slice.units(full, group: UInt32(group))
                let wrong = got.indices.first { got[$0] != want[$0] }.map { "\(users[$0]) \(got[$0]) not \(want[$0])" }
                try #require(wrong == nil, "\(mode.testDescription) \(slice.rules) group \(group) \(wrong ?? "")")
                #expect(entered[group] == want.reduce(0) { $0 + $1.count })
                #expect(slice.units(deep, group: UInt32(group)) == want.map { $0.filter { $0.depth > 1 } })
            }
        }
    }

    @Test(arguments: scanModes.indices)
    func groupsEqualRestrictedRanges(modeIndex: Int) throws {
        let mode = Self.scanModes[modeIndex]
        var random = SplitMix64(seed: 0x6209 + UInt64(modeIndex))
        var left = TestCounts.histories / 8
        while left > 0 {
            let kernelCase = KernelCase(
                slack: mode.slack, anchor: mode.anchor, entry: mode.entry, ranged: false, &random)
            let plan = kernelCase.plan
            let users = (0..<(1 + random.below(60))).map { _ in kernelCase.user(events: random.below(9), &random) }
            left -= users.count
            let boundaries = randomBoundaries(users, kernelCase, &random)
            let slice = try PackedSlice(users, plan: plan, extraBits: random.below(20), boundaries: boundaries)
            var scan = try scanner(slice.rules, includeShallow: true)
            scan.scan(slice.lists, listOfStep: slice.listOfStep)
            let edges = [Int64.min] + boundaries + [Int64.max]
            let entered = scan.entered
            for group in 0...boundaries.count {
                let range = edges[group]..<edges[group + 1]
                let reference = ReferenceMatcher(FunnelPlan(plan.definition, entryRange: range, asOf: plan.asOf))
                let want = users.map { reference.match(time: $0.time, mask: $0.mask) }
                let got = slice.outcomes(scan, group: UInt32(group))
                try #require(got == want, "\(mode.testDescription) \(slice.rules) group \(group)")
                #expect(entered[group] == want.count { $0.depth > 0 })
            }
        }
    }

    /// Lists of thousands of keys: many users, a few, one.
    @Test(arguments: modes.indices)
    func longListsEqualPlainMatcher(modeIndex: Int) throws {
        let mode = Self.modes[modeIndex]
        var random = SplitMix64(seed: 0x1049 + UInt64(modeIndex))
        for round in 0..<max(4, min(60, TestCounts.histories / 1_000)) {
            let (userCount, events) = [(3_000, 6), (200, 60), (7, 900), (1, 5_000)][round % 4]
            let kernelCase = randomCase(mode, span: random.pick([20, 400, 20_000]), &random)
            let users = (0..<userCount).map { _ in kernelCase.user(events: random.below(2 * events), &random) }
            let slice = try PackedSlice(users, plan: kernelCase.plan, extraBits: random.below(40))
            var matcher = PlainMatcher(kernelCase.plan)
            let want = try users.map { try matcher.match(time: $0.time, mask: $0.mask) }
            var counter = DepthCounter(slice.rules)
            counter.add(slice.lists, listOfStep: slice.listOfStep)
            let got = counter.counts
            try #require(
                got == PackedSlice.counts(want, steps: slice.rules.steps), "\(mode.testDescription) \(slice.rules)")
            if mode.slack <= 1, mode.anchor == .firstStep { try checkScan(slice, want, mode) }
        }
    }

    /// Keys without order or bound, as from a damaged block: the answer may be anything, but indexes stay in range.
    @Test func damagedKeysStayInBounds() throws {
        var random = SplitMix64(seed: 0xDA3A)
        for round in 0..<min(20_000, TestCounts.histories / 5) {
            let mode = random.pick(Self.modes)
            let steps = 1 + random.below(5)
            let timeBits = random.pick([1, 4, 12, 30, 52, 62])
            let rules = KernelRules(
                steps: steps, timeBits: timeBits, window: random.next() >> UInt64(random.below(64)),
                slack: UInt64(mode.slack), anchor: mode.anchor, entry: mode.entry, isSerial: random.chance(30),
                openFrom: random.chance(50) ? random.next() >> 20 : nil,
                boundaries: random.chance(30) ? [3, 700, 1 << 40] : [])
            let shift = UInt64(round % 3 == 0 ? 0 : random.below(64))
            let lists = (0..<steps).map { _ in
                KeyList((0..<random.below(70)).map { _ in (random.next() >> shift) >> UInt64(random.below(3)) })
            }
            var counter = DepthCounter(rules)
            counter.add(lists)
            let counts = counter.counts
            #expect(counts.indices.allSatisfy { counts[$0] <= lists[$0].count })
            guard var scan = AttemptScan(rules, includeShallow: random.chance(50)) else { continue }
            scan.scan(lists)
            let found = scan.outcomes
            for j in 0..<found.count {
                for k in 0..<Int(found.depth[j]) { #expect(Int(found.chosen[k][j]) < lists[k].count) }
            }
        }
    }

    @Test func emptyAndTinySlices() throws {
        let rules = KernelRules(steps: 3, timeBits: 10, window: 100)
        var counter = DepthCounter(rules)
        var scan = try scanner(rules, includeShallow: true)
        let none = Array(repeating: KeyList(), count: 3)
        counter.add(none)
        scan.scan(none)
        var counts = counter.counts
        #expect(counts == [0, 0, 0] && scan.outcomes.count == 0)
        let one = [KeyList([5]), KeyList([6]), KeyList()]
        counter.add(one)
        scan.scan(one)
        counts = counter.counts
        #expect(counts == [1, 1, 0] && scan.outcomes.count == 1 && scan.outcomes.depth == [2])
        #expect(scan.outcomes.chosen[0] == [0] && scan.outcomes.chosen[1] == [0])
        scan.scan([KeyList(), KeyList([6]), KeyList([7])])
        #expect(scan.outcomes.count == 0)
    }

    @Test func rulesBeyondTheScanAreRefused() {
        #expect(AttemptScan.takes(KernelRules(steps: 2, timeBits: 20, window: 5, slack: 1)))
        #expect(!AttemptScan.takes(KernelRules(steps: 2, timeBits: 20, window: 5, slack: 2)))
        #expect(!AttemptScan.takes(KernelRules(steps: 2, timeBits: 20, window: 5, anchor: .previousStep)))
        #expect(!AttemptScan.takes(KernelRules(steps: 2, timeBits: 60, window: 1 << 57)))
        #expect(!AttemptScan.takes(KernelRules(steps: 2, timeBits: 20, window: 5, entry: .first, isSerial: true)))
    }
}
