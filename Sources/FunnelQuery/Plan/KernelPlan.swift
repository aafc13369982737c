import EventStorage
import FunnelMatch
import FunnelModel

/// A funnel as the kernels need it: which rows each step reads, and all times in ticks of keys.
struct KernelPlan: Sendable {
    /// The rows that one list of keys holds.
    struct List: Equatable, Sendable {
        /// Indexes of names in the selection.
        var names: [Int]
        /// Conditions on the events.
        var conditions: [Predicate]
        /// Conditions on the users of the events.
        var userConditions: [Predicate]
        /// Only events in the plan's entry range.
        var isEntry: Bool
        /// Only events of users who are in all cohorts.
        var isOfMembers: Bool

        var asksForUsers: Bool { isOfMembers || !userConditions.isEmpty }

        init(_ names: [Int], _ filters: [Predicate], isEntry: Bool, isOfMembers: Bool) {
            self.names = names
            conditions = filters.filter { $0.userProperty == nil }
            userConditions = filters.filter { $0.userProperty != nil }
            self.isEntry = isEntry
            self.isOfMembers = isOfMembers
        }
    }

    let query: ShardQuery
    let selection: RowSelection
    let lists: [List]
    let listOfStep: [Int]
    let listOfExclusion: [Int]
    let rules: KernelRules
    /// The tick of `as_of`, in ticks of the rules.
    let now: UInt64
    /// Layout of the keys as they are read, in the data's own time unit.
    let layout: KeyLayout
    /// Layout ticks in one tick of the rules.
    let perTick: UInt64
    /// Clock ticks in one tick of the rules.
    let scale: UInt64
    /// Layout ticks of the events that may start an attempt; nil is all.
    let entry: Range<UInt64>?
    let slicePlaces: Int
    /// Whether some attempt may still be open at `as_of`.
    let canBeOpen: Bool
    /// Whether `AttemptScan` takes the rules, so that chosen attempts can be found too.
    let hasAttempts: Bool

    /// Approximate number of keys of a slice; these and the kernels' working memory fit into the cache of one core.
    private static let sliceKeys = 24_000

    /// Nil if the kernels do not take the plan, or the time span is too large for their keys.
    /// - Parameter starting: positions whose events may start an attempt.
    init?(_ query: ShardQuery, starting: StepSet = StepSet(only: 0)) {
        let plan = query.plan
        let isSerial = plan.definition.countBy == .attempts
        guard plan.hasPlainChains, plan.definition.countBy == .users || isSerial && !plan.isNarrowed else { return nil }
        let wanted = plan.events(of: query.view.eventNames())
        let keys = query.view.selection(wanted)
        guard let times = keys.times else { return nil }
        self.query = query
        selection = keys
        let ranged = plan.entryRange != Int64.min..<Int64.max
        var lists: [List] = []
        listOfStep = Self.listOfStep(
            &lists, plan, wanted, entry: ranged ? starting : StepSet(), members: query.cohorts.isEmpty ? StepSet() : starting)
        listOfExclusion = Self.listOfExclusion(&lists, plan, wanted)
        self.lists = lists

        let tick = max(plan.tick, keys.unit)
        perTick = UInt64(tick / keys.unit)
        scale = UInt64(tick / plan.tick)
        let first = times.lowerBound / tick
        let slack = UInt64((plan.slack.count * plan.tick + tick - 1) / tick)
        let window = UInt64(plan.window.count * plan.tick / tick)
        let span = UInt64(times.upperBound / tick - first)
        guard let fields = KernelRules.layout(range: span, window: window, slack: slack, steps: plan.steps) else { return nil }
        let base = (first - Int64(fields.lead)) * Int64(perTick)
        let most = UInt64(times.upperBound / keys.unit - base)
        let timeBits = max(fields.timeBits, 64 - most.leadingZeroBitCount)
        guard timeBits <= 61 else { return nil }
        layout = KeyLayout(unit: keys.unit, base: base, timeBits: timeBits)
        entry = ranged ? Self.ticks(plan.entryRange, layout) : nil

        // Ticks of the rules begin with the layout's base too.
        let openFrom = plan.ticks(plan.asOf) - plan.window.count
        let isAnchored = plan.definition.anchor == .firstStep
        // Only users can be open.
        canBeOpen = !isSerial && plan.ticks(times.upperBound) >= openFrom
        let open = (openFrom * plan.tick + tick - 1) / tick - first + Int64(fields.lead)
        now = UInt64(max(0, (plan.ticks(plan.asOf) * plan.tick + tick - 1) / tick - first + Int64(fields.lead)))
        rules = KernelRules(
            steps: plan.steps, timeBits: timeBits, window: fields.window, slack: slack, anchor: plan.definition.anchor,
            entry: plan.definition.entry, isSerial: isSerial, openFrom: canBeOpen && isAnchored ? UInt64(max(0, open)) : nil)
        hasAttempts = AttemptScan.takes(rules)

        var rows = 0
        for list in listOfStep + listOfExclusion { rows += lists[list].names.reduce(0) { $0 + keys.rows($1) } }
        let users = query.places.reduce(0) { $0 + $1.count }
        slicePlaces = max(1, min(layout.placesMax, users * Self.sliceKeys / max(1, rows)))
    }

    /// The number of pairs of an event and a step that it can fill, or the equivalent of a kernel's memory if that is more.
    func fills(_ lists: [KeyList]) -> Int {
        let attempts = max(lists[listOfStep[0]].count, lists[listOfStep[min(1, listOfStep.count - 1)]].count)
        return max(listOfStep.reduce(0) { $0 + lists[$1].count }, attempts * listOfStep.count / 4)
    }

    private static func listOfStep(
        _ lists: inout [List], _ plan: FunnelPlan, _ names: [ByteString], entry: StepSet, members: StepSet
    ) -> [Int] {
        (0..<plan.steps).map { step in
            let admitted = names.indices.filter { plan.positions(ofEvent: names[$0]).contains(step) }
            return add(
                List(
                    admitted, plan.definition.steps[step].filters, isEntry: entry.contains(step),
                    isOfMembers: members.contains(step)),
                to: &lists)
        }
    }

    private static func listOfExclusion(_ lists: inout [List], _ plan: FunnelPlan, _ names: [ByteString]) -> [Int] {
        plan.definition.exclusions.indices.map { e in
            let admitted = names.indices.filter { plan.exclusions(ofEvent: names[$0]).contains(e) }
            return add(List(admitted, plan.definition.exclusions[e].filters, isEntry: false, isOfMembers: false), to: &lists)
        }
    }

    /// The index of a list; steps and exclusions that read the same rows share one.
    private static func add(_ list: List, to lists: inout [List]) -> Int {
        if let known = lists.firstIndex(of: list) { return known }
        lists.append(list)
        return lists.count - 1
    }

    /// The layout ticks of the times in a range of microseconds.
    private static func ticks(_ range: Range<Int64>, _ layout: KeyLayout) -> Range<UInt64> {
        func tick(_ time: Int64) -> UInt64 {
            // Clamped to 0...2^timeBits: no time is outside the ticks, and the last tick may have events.
            let end = Int64(1) << Int64(layout.timeBits)
            let bounded = max(-(1 << 61), min(1 << 61, time))
            return UInt64(max(0, min(end, Timestamp.floorDivide(bounded + layout.unit - 1, layout.unit) - layout.base)))
        }
        let low = tick(range.lowerBound)
        return low..<max(low, tick(range.upperBound))
    }
}
