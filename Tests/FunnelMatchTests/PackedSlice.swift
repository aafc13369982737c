import FunnelMatch
import FunnelModel
import TestSupport

/// Users' histories as the kernels get them: one key list per step, with the way back from a list's index to the row
/// of a user.
struct PackedSlice {
    struct User {
        let time: [Int64]
        let mask: [StepSet]

        init(_ events: [Event], _ plan: FunnelPlan) { (time, mask) = OneUser(events).columns(for: plan) }
    }

    let rules: KernelRules
    let users: [User]
    private(set) var lists: [KeyList] = []
    private(set) var listOfStep: [Int] = []
    /// `rows[k][i]`: row of its user to which key i of step k belongs.
    private(set) var rows: [[Int]] = []

    /// - Parameters:
    ///   - extraBits: how much wider than needed a tick's field is to be, where places allow it.
    ///   - boundaries: microseconds.
    init(_ users: [User], plan: FunnelPlan, extraBits: Int = 0, boundaries: [Int64] = []) throws {
        self.users = users
        let ticks = users.flatMap { $0.time.map(plan.ticks) }
        let first = ticks.min() ?? 0
        let layout = KernelRules.layout(
            range: UInt64((ticks.max() ?? 0) - first), window: UInt64(plan.window.count), slack: UInt64(plan.slack.count),
            steps: plan.steps)
        guard let layout, layout.places >= users.count else { throw MatchError.cancelled }
        var timeBits = layout.timeBits
        while timeBits < layout.timeBits + extraBits, 1 << (62 - timeBits) >= users.count { timeBits += 1 }
        let offset = Int64(layout.lead) - first
        let openFrom = plan.ticks(plan.asOf) - plan.window.count + offset
        rules = KernelRules(
            steps: plan.steps, timeBits: timeBits, window: layout.window, slack: UInt64(plan.slack.count),
            anchor: plan.definition.anchor, entry: plan.definition.entry, isSerial: plan.definition.countBy == .attempts,
            openFrom: openFrom >= Int64(1) << timeBits ? nil : UInt64(max(0, openFrom)),
            boundaries: boundaries.map { UInt64(max(0, plan.ticks($0) + offset)) })
        var keys: [[UInt64]] = []
        for k in 0..<plan.steps {
            var list: [UInt64] = []
            var back: [Int] = []
            for (place, user) in users.enumerated() {
                for row in user.time.indices where user.mask[row].contains(k) {
                    if k == 0, !plan.entryRange.contains(user.time[row]) { continue }
                    list.append(UInt64(place) << UInt64(timeBits) | UInt64(plan.ticks(user.time[row]) + offset))
                    back.append(row)
                }
            }
            rows.append(back)
            // Equal lists are passed once, as the storage does for steps with the same events.
            if let same = keys.firstIndex(of: list) {
                listOfStep.append(same)
            } else {
                listOfStep.append(keys.count)
                keys.append(list)
                lists.append(KeyList(list))
            }
        }
    }

    /// Depth counts of these outcomes.
    static func counts(_ outcomes: [UserOutcome], steps: Int) -> [Int] {
        (0..<steps).map { k in outcomes.count { $0.depth > k } }
    }

    /// The scan's rows as outcomes by user, for one group; of a user without any, one of depth 0.
    func outcomes(_ scan: borrowing AttemptScan, group: UInt32 = 0) -> [UserOutcome] {
        units(scan, group: group).map { $0.last ?? UserOutcome() }
    }

    /// The same where a user can have several.
    func units(_ scan: borrowing AttemptScan, group: UInt32) -> [[UserOutcome]] {
        var result: [[UserOutcome]] = Array(repeating: [], count: users.count)
        let found = scan.outcomes
        for j in 0..<found.count where found.group[j] == group {
            let depth = Int(found.depth[j])
            let chain = (0..<depth).map { k in rows[k][Int(found.chosen[k][j])] }
            result[Int(found.user[j])].append(UserOutcome(depth: depth, chain: chain, openDepth: Int(found.openDepth[j])))
        }
        return result
    }
}

/// Random plans and histories whose modes the kernels take.
struct KernelCase {
    let plan: FunnelPlan
    /// Events are at most this many ticks apart.
    let span: Int
    private let base: Int64
    private let names: [ByteString]

    static let sequentialShapes: [[[ByteString]]] = [
        [["a"], ["b"]], [["a"], ["b"], ["c"]], [["a"], ["a"]], [["a"], ["a"], ["a"]], [["a"], ["a", "b"], ["c"]],
        [["b"], ["a"], ["b"]], [["a", "b"], ["b", "c"], ["a"]], [["a"], ["b"], ["c"], ["d"]], [["a"]],
        [["a"], ["b", "c"], ["b"], ["c"]], [["a"], ["b"], ["a"], ["b"], ["a"], ["b"]],
    ]
    static let disjointShapes: [[[ByteString]]] = [
        [["a"], ["b"]], [["a"], ["b"], ["c"]], [["a"], ["b"], ["c"], ["d"]], [["a"]], [["a", "d"], ["b"], ["c"]],
        [["c"], ["a", "b"]],
    ]

    init(
        slack: Int64, anchor: FunnelDefinition.WindowAnchor, entry: FunnelDefinition.Entry, span: Int = 9,
        ranged: Bool = true, countBy: FunnelDefinition.CountBy = .users, _ random: inout SplitMix64
    ) {
        let shape = random.pick(slack == 0 ? Self.sequentialShapes : Self.disjointShapes)
        var definition = FunnelDefinition(
            steps: shape.enumerated().map { FunnelDefinition.Step(ByteString("s\($0)"), events: .named($1)) })
        definition.clock = random.chance(60) ? .second : .microsecond
        let tick = definition.clock.tick
        if slack > 0 { definition.order = .flexible(limit: tick * slack) }
        definition.anchor = anchor
        definition.entry = entry
        definition.countBy = countBy
        definition.window = tick * Int64(random.pick([1, 2, 3, 5, span, 3 * span, 1_000_000]))
        base = Int64(random.pick([0, 1, 1_000, 1_700_000_000])) * 1_000_000
        self.span = span
        let low = base + Int64(random.below(span)) * tick.count / 2
        let range = ranged && random.chance(30) ? low..<(low + Int64(1 + random.below(span)) * tick.count) : nil
        let asOf = random.chance(50) ? base + Int64(random.below(2 * span)) * tick.count : 1 << 59
        plan = FunnelPlan(definition, entryRange: range, asOf: asOf)
        names = ["a", "b", "c", "d"]
    }

    func user(events: Int, _ random: inout SplitMix64) -> PackedSlice.User {
        let tick = plan.tick
        let made = (0..<events).map { _ in
            // Within one second the clock floors to the same tick.
            let below = tick > 1 && random.chance(50) ? Int64(random.below(4)) * tick / 4 : 0
            return Event(user: "u", name: random.pick(names), time: base + Int64(random.below(span)) * tick + below)
        }
        return PackedSlice.User(made, plan)
    }
}
