import FunnelMatch
import FunnelModel
import TestSupport
import Testing

/// `NarrowedScan` on random histories packed into slices, short ones against the reference, long ones against `RuleMatcher`.
struct NarrowedAgreementTests {
    static let combinations: [[Rule]] = {
        let removing: [[Rule]] = [
            [.excludeEnd], [.excludeDrop], [.hold], [.excludeEnd, .excludeDrop], [.excludeEnd, .hold], [.excludeDrop, .hold],
            [.excludeEnd, .excludeDrop, .hold],
        ]
        return removing.flatMap { rules in [[], [.earliest], [.first]].flatMap { entry in [rules + entry, [.flexible] + rules + entry] } }
    }()

    @Test(arguments: combinations.indices)
    func attemptsEqualReference(index: Int) throws {
        var random = SplitMix64(seed: 0x4A22 + UInt64(index))
        var left = TestCounts.histories / 8
        while left > 0 {
            guard let rules = rules(index, &random) else { continue }
            let users = (0..<random.pick([1, 2, 3, 40])).map { _ in history(rules, rows: 1 + random.below(8), span: 9, &random) }
            left -= users.count
            let reference = ReferenceMatcher(rules.plan)
            try check(rules.plan, users, users.map { reference.outcomes(of: $0).first ?? UserOutcome() })
        }
    }

    @Test(arguments: combinations.indices)
    func longHistoriesEqualRuleMatcher(index: Int) throws {
        var random = SplitMix64(seed: 0x4A1F + UInt64(index))
        for _ in 0..<(TestCounts.histories / 2_000) {
            guard let rules = rules(index, &random) else { continue }
            let span = random.pick([20, 200, 2_000])
            let users = (0..<5).map { _ in history(rules, rows: 30 + random.below(300), span: span, &random) }
            var matcher = RuleMatcher(rules.plan)
            let want = try users.map { user in
                var outcome = UserOutcome()
                try matcher.match(user) { outcome = $0 }
                return outcome
            }
            try check(rules.plan, users, want)
        }
    }

    private func rules(_ index: Int, _ random: inout SplitMix64) -> RandomRules? {
        let rules = RandomRules(Self.combinations[index], steps: random.pick([2, 3, 3, 4]), &random)
        return rules.flatMap { $0.plan.slack.count <= 1 ? $0 : nil }
    }

    private func history(_ rules: RandomRules, rows: Int, span: Int, _ random: inout SplitMix64) -> UserHistory {
        var history = rules.history(rows: rows, span: span, &random)
        // Where ties count, no event may fit two steps.
        if rules.plan.slack.count > 0 { history.mask = history.mask.map { $0.isEmpty ? $0 : StepSet(only: $0.lowest) } }
        return history
    }

    private func check(_ plan: FunnelPlan, _ users: [UserHistory], _ want: [UserOutcome]) throws {
        let slice = try #require(NarrowedSlice(plan, users))
        let got = try slice.outcomes()
        let wrong = got.indices.first { got[$0] != want[$0] }.map { "\(users[$0])\ngot \(got[$0])\nwant \(want[$0])" }
        try #require(wrong == nil, "\(plan.definition) range \(plan.entryRange) as of \(plan.asOf)\n\(wrong ?? "")")
    }

    /// Keys without order or bound, as from a damaged block: the answer may be anything.
    @Test func damagedKeysStayInBounds() throws {
        var random = SplitMix64(seed: 0xDA4A)
        for _ in 0..<min(20_000, TestCounts.histories / 5) {
            let combination = random.below(Self.combinations.count)
            guard let plan = rules(combination, &random)?.plan else { continue }
            let rules = KernelRules(
                steps: plan.steps, timeBits: random.pick([1, 4, 12, 30, 52, 62]), window: random.next() >> UInt64(random.below(64)),
                slack: UInt64(plan.slack.count), entry: plan.definition.entry, openFrom: random.chance(50) ? random.next() >> 20 : nil)
            let shift = UInt64(random.below(64))
            let lists = (0..<(plan.steps + plan.exclusions.count)).map { _ in
                KeyList((0..<random.below(70)).map { _ in (random.next() >> shift) >> UInt64(random.below(3)) })
            }
            guard var scan = NarrowedScan(rules, Narrowing(plan, now: random.next() >> 20)) else { continue }
            var values = AnyValues()
            try scan.scan(
                lists, listOfStep: Array(0..<plan.steps), listOfExclusion: Array(plan.steps..<lists.count), &values)
            let found = scan.outcomes
            for row in 0..<found.count {
                for k in 0..<Int(found.depth[row]) { #expect(Int(found.chosen[k][row]) < lists[k].count) }
            }
        }
    }

    private struct AnyValues: HeldValues {
        func numbers(step: Int, of indexes: [UInt32]) -> [Int32] { indexes.map { Int32($0 % 4) - 1 } }
    }
}

/// Users' histories as the kernel gets them: key lists of steps and exclusions, with the way back to the users' rows.
private struct NarrowedSlice {
    let plan: FunnelPlan
    let users: [UserHistory]
    let rules: KernelRules
    let now: UInt64
    var lists: [KeyList] = []
    /// By step and index in its list.
    var rows: [[(user: Int, row: Int)]] = []

    init?(_ plan: FunnelPlan, _ users: [UserHistory]) {
        self.plan = plan
        self.users = users
        let ticks = users.flatMap { $0.time.map(plan.ticks) }
        let first = ticks.min() ?? 0
        let range = UInt64((ticks.max() ?? 0) - first)
        let (window, slack) = (UInt64(plan.window.count), UInt64(plan.slack.count))
        guard let layout = KernelRules.layout(range: range, window: window, slack: slack, steps: plan.steps)
        else { return nil }
        let offset = Int64(layout.lead) - first
        let openFrom = plan.ticks(plan.asOf) - plan.window.count + offset
        now = UInt64(max(0, plan.ticks(plan.asOf) + offset))
        rules = KernelRules(
            steps: plan.steps, timeBits: layout.timeBits, window: layout.window, slack: UInt64(plan.slack.count),
            entry: plan.definition.entry, openFrom: openFrom >= Int64(1) << layout.timeBits ? nil : UInt64(max(0, openFrom)))
        for place in 0..<(plan.steps + plan.exclusions.count) {
            var back: [(user: Int, row: Int)] = []
            for (user, history) in users.enumerated() {
                for row in history.time.indices {
                    let isIn =
                        place < plan.steps ? history.mask[row].contains(place) : history.excluded[row].contains(place - plan.steps)
                    if !isIn || (place == 0 && !plan.entryRange.contains(history.time[row])) { continue }
                    back.append((user, row))
                }
            }
            rows.append(back)
            lists.append(
                KeyList(
                    back.map { user, row in
                        UInt64(user) << UInt64(layout.timeBits) | UInt64(plan.ticks(users[user].time[row]) + offset)
                    }))
        }
    }

    func outcomes() throws -> [UserOutcome] {
        var outcomes = Array(repeating: UserOutcome(), count: users.count)
        guard var scan = NarrowedScan(rules, Narrowing(plan, now: now)) else { return outcomes }
        var values = Values(slice: self)
        // Reused, as from slice to slice.
        for _ in 0..<2 {
            try scan.scan(
                lists, listOfStep: Array(0..<plan.steps), listOfExclusion: Array(plan.steps..<lists.count), &values)
        }
        let found = scan.outcomes
        for j in 0..<found.count {
            let depth = Int(found.depth[j])
            let chain = (0..<depth).map { k in rows[k][Int(found.chosen[k][j])].row }
            outcomes[Int(found.user[j])] = UserOutcome(depth: depth, chain: chain, openDepth: Int(found.openDepth[j]))
        }
        return outcomes
    }

    private struct Values: HeldValues {
        let slice: NarrowedSlice
        var known: [[Int32]: Int32] = [:]

        mutating func numbers(step: Int, of indexes: [UInt32]) -> [Int32] {
            indexes.map { index in
                let (user, row) = slice.rows[step][Int(index)]
                let held = slice.plan.held.map { slice.users[user].held[$0[step]][row] }
                if held.contains(where: { $0 < 0 }) { return -1 }
                let number = known[held] ?? Int32(known.count)
                known[held] = number
                return number
            }
        }
    }
}
