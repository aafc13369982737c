import EventStorage
import FunnelMatch
import FunnelModel
import TestSupport

/// A store with random events, and the events that count in it.
struct World {
    let store: ShardStore<POSIXFileSystem>
    var events: [Event] = []
    var times: ClosedRange<Int64> = 0...0
    private(set) var users: [ByteString: OneUser] = [:]

    /// - Parameter users: how many there may be.
    init(_ path: String, seed: Int, users: Int = 60, _ random: inout SplitMix64) throws {
        var options = StoreOptions()
        options.sealRows = 100_000
        store = try ShardStore.open(
            directory: path, files: POSIXFileSystem(), identity: StoreIdentity(clusterID: 1, shard: 0, shardCount: 1, epoch: 1),
            options: options)
        let units: [Int64] = [[1_000_000], [1_000], [1], [1_000_000, 1_000, 1]][seed % 4]
        // Data of one month ends in one segment, whose lists are read otherwise than those of several sources.
        let months: [Int64] = seed % 3 == 1 ? [1_700_000_000] : [1_700_000_000, 1_700_000_000, 1_702_000_000, 1_707_000_000]
        let suppressed: Set<ByteString> = seed % 5 == 0 ? ["user3", "user17", "nobody"] : []
        for sequence in 0..<8 {
            var batch: [Event] = []
            for user in 0..<users where random.chance(40) {
                for _ in 0..<(1 + random.below(3)) {
                    batch.append(Self.event(ByteString("user\(user)"), units, months, serverTimed: seed % 3 == 1, &random))
                }
            }
            // Some come twice, in this batch or a later one.
            for _ in 0..<5 {
                guard var copy = (events + batch).filter({ !$0.id.isEmpty }).randomElement(using: &random) else { break }
                // The first copy stands, whatever another one says.
                if random.chance(60) { copy.properties = Self.properties(random.below(5), &random) }
                if copy.serverTimed { copy.time += units[0] * Int64(random.below(3)) }
                batch.append(copy)
            }
            let request = AppendRequest(
                project: 1, producer: 1, sequence: UInt64(sequence), part: 0, batch: EventBatchBuilder(batch).finish())
            _ = try store.append([request]).map { try $0.get() }
            if random.chance(40) { try store.seal() }
            if sequence == 4, !suppressed.isEmpty { try store.suppress(project: 1, users: Array(suppressed)) }
            events += batch
        }
        events = Self.surviving(events)
        if seed % 2 == 0 { while store.sealIfDue() || store.mergeIfDue() {} }
        events.removeAll { suppressed.contains($0.user) }
        self.users = Dictionary(grouping: events, by: \.user).mapValues { OneUser($0) }
        times = (events.map(\.time).min() ?? 0)...(events.map(\.time).max() ?? 0)
    }

    /// The rows that stand, of rows in the order in which they became durable.
    private static func surviving(_ rows: [Event]) -> [Event] {
        struct Key: Hashable {
            var user: ByteString
            var name: ByteString
            var id: ByteString
            var time: Int64 = 0
        }
        var earliest: [Key: Int64] = [:]
        for row in rows where row.serverTimed {
            let key = Key(user: row.user, name: row.name, id: row.id)
            earliest[key] = min(earliest[key] ?? row.time, row.time)
        }
        var seen: Set<Key> = []
        return rows.filter { row in
            if row.id.isEmpty { return true }
            if row.serverTimed, earliest[Key(user: row.user, name: row.name, id: row.id)] != row.time { return false }
            return seen.insert(Key(user: row.user, name: row.name, id: row.id, time: row.time)).inserted
        }
    }

    private static func properties(_ name: Int, _ random: inout SplitMix64) -> [Event.Property] {
        var properties: [Event.Property] = []
        if random.chance(60) {
            properties.append(.init("p", random.pick([.integer(0), .integer(1), .integer(2), .double(1), .double(0.5), .double(-0.0)])))
        }
        if random.chance(30) { properties.append(.init("q", random.chance(50) ? .integer(1) : .string("x"))) }
        // All names but one have it always, and it is a string always.
        if name != 3 || random.chance(50) { properties.append(.init("s", .string(random.pick(["x", "y", "z", "a longer text", ""])))) }
        if name > 4, random.chance(70) {
            properties.append(.init("plan", random.pick([.string("x"), .integer(1), .double(1), .bool(true)])))
        }
        return properties
    }

    private static func event(
        _ user: ByteString, _ units: [Int64], _ months: [Int64], serverTimed: Bool, _ random: inout SplitMix64
    ) -> Event {
        let name = random.chance(12) ? 5 + random.below(3) : random.below(5)
        // A name keeps to one unit, beside names of others.
        let unit = units[name % units.count]
        let month = random.pick(months) * 1_000_000
        let offset = Int64(random.below(9)) * 1_000_000 + Int64(random.below(4)) * 250_000 / unit * unit + (random.chance(10) ? unit : 0)
        // One name's events come from a client without a clock, in some stores.
        let id: ByteString = random.chance(50) ? ByteString("i\(random.next())") : ""
        return Event(
            user: user, name: ["a", "b", "c", "d", "e", "$identify", "$set", "$set_once"][name], time: (month + offset) / unit * unit,
            id: id, serverTimed: serverTimed && name == 1 && !id.isEmpty && random.chance(50), properties: properties(name, &random))
    }

    /// Names of profile records.
    static let profiles: Set<ByteString> = ["$identify", "$set", "$set_once", "$groupidentify"]

    /// A unit that entered: its user, what the reference makes of it, and by row the event of its chosen attempt.
    struct Unit {
        let user: ByteString
        let outcome: UserOutcome
        let chain: [Event?]

        /// Microseconds of a row, counted from 1; nil where it was not done.
        func time(ofRow row: Int) -> Int64? { row <= chain.count ? chain[row - 1]?.time : nil }

        /// The events by step; nil where a step was not done.
        func byStep(_ steps: Int) -> [Event?] {
            if outcome.positions.isEmpty { return chain + Array(repeating: nil, count: steps - chain.count) }
            return (0..<steps).map { step in outcome.positions.firstIndex(of: step).flatMap { chain[$0] } }
        }

        /// - Parameter step: from 1.
        func isIn(_ list: ListOutcome, step: Int, _ plan: FunnelPlan) -> Bool {
            func did(_ row: Int) -> Bool { row < chain.count && chain[row] != nil }
            switch list {
            case .reached: return did(step - 1)
            case .dropped: return plan.requiredRow(before: step - 1).map { did($0) && !did(step - 1) } ?? false
            case .converted: return did(plan.steps - 1)
            case .open: return outcome.openDepth > 0 && isIn(.dropped, step: step, plan)
            }
        }
    }

    /// Users of a cohort.
    private func members(_ cohort: Cohort, asOf: Int64) -> Set<ByteString> {
        var definition = cohort.definition
        definition.countBy = .users
        let plan = FunnelPlan(definition, entryRange: nil, asOf: asOf)
        return Set(units(plan, [0..<1_024]).filter { $0.isIn(cohort.outcome, step: cohort.step, plan) }.map(\.user))
    }

    /// Users of all of some cohorts.
    func members(_ cohorts: [Cohort], asOf: Int64) -> Set<ByteString> {
        cohorts.reduce(into: Set(users.keys)) { $0.formIntersection(members($1, asOf: asOf)) }
    }

    func randomCohorts(_ random: inout SplitMix64) -> [Cohort] {
        (0..<(random.chance(70) ? 0 : 1 + random.below(2))).map { _ in
            let definition = randomPlan(&random).definition
            let step = 1 + random.below(definition.steps.count)
            let outcome: ListOutcome = definition.steps[step - 1].isOptional ? .reached : random.pick(ListOutcome.allCases)
            return Cohort(definition: definition, step: step, outcome: outcome)
        }
    }

    func units(_ plan: FunnelPlan, _ buckets: [Range<Int>], _ cohorts: [Cohort] = []) -> [Unit] {
        let members = members(cohorts, asOf: plan.asOf)
        var found: [Unit] = []
        for (user, one) in users where members.contains(user) {
            let bucket = ClusterMap.bucket(ofUser: user)
            guard buckets.contains(where: { $0.contains(bucket) }) else { continue }
            let one = one.seen(by: plan)
            for outcome in Self.outcomes(plan, of: one) {
                found.append(Unit(user: user, outcome: outcome, chain: outcome.chain.map { $0 < 0 ? nil : one.events[$0] }))
            }
        }
        return found
    }

    /// Microseconds of the last clock value at which an attempt can still go on, as the reference has it; nil where none can at
    /// `as_of`.
    static func openUntil(_ plan: FunnelPlan, of user: OneUser) -> Int64? {
        guard let end = ReferenceMatcher(plan).openUntil(of: history(plan, of: user).events) else { return nil }
        return end * plan.tick
    }

    /// The events of a user that the reference is given, and by row where they stand. It tries everything, so it is given only what
    /// can fill a step or is excluded.
    private static func history(_ plan: FunnelPlan, of user: OneUser) -> (events: UserHistory, rows: [Int]) {
        let history = user.history(for: plan)
        let all = Array(history.time.indices)
        if plan.needsEveryEvent { return (history, all) }
        let rows = all.filter { !history.mask[$0].isEmpty || !history.excluded[$0].isEmpty }
        let events = UserHistory(
            time: rows.map { history.time[$0] }, mask: rows.map { history.mask[$0] }, excluded: rows.map { history.excluded[$0] },
            held: history.held.map { codes in rows.map { codes[$0] } }, unit: history.unit.isEmpty ? [] : rows.map { history.unit[$0] })
        return (events, rows)
    }

    /// What the reference makes of a user; chains are of the user's events.
    static func outcomes(_ plan: FunnelPlan, of user: OneUser) -> [UserOutcome] {
        let (history, rows) = history(plan, of: user)
        return ReferenceMatcher(plan).outcomes(of: history).filter { $0.depth > 0 }.map { found in
            var outcome = found
            outcome.chain = found.chain.map { $0 < 0 ? $0 : rows[$0] }
            return outcome
        }
    }

    func reference(_ plan: FunnelPlan, _ buckets: [Range<Int>], _ cohorts: [Cohort] = []) -> ([Unit], PartialResult) {
        let units = units(plan, buckets, cohorts)
        var result = PartialResult(steps: plan.steps, times: true, buckets: buckets)
        var fromFirst = Array(repeating: TimeCollector(), count: plan.steps)
        var fromPrevious = fromFirst
        var stillOpen = result.open
        for unit in units {
            let times = unit.chain.map { event in event.map { max(plan.ticks($0.time), plan.ticks(unit.chain[0]?.time ?? 0)) } }
            for (i, time) in times.enumerated() {
                guard let time, let first = times[0] else { continue }
                result.counts[i] += 1
                if i > 0 { fromFirst[i].add(UInt64(time - first)) }
                if i > 1, let previous = plan.requiredRow(before: i), let before = times[previous] {
                    fromPrevious[i].add(UInt64(max(0, time - before)))
                }
            }
            guard unit.outcome.openDepth > 0 else { continue }
            result.open[unit.outcome.openDepth - 1] += 1
            stillOpen[unit.outcome.depth - 1] += 1
        }
        result.stillOpen = stillOpen
        result.fromFirst = fromFirst.map { $0.finish() }
        result.fromPrevious = fromPrevious.map { $0.finish() }
        return (units, result)
    }

    static func filter(_ random: inout SplitMix64) -> Predicate {
        let comparison = random.pick(Predicate.Comparison.allCases)
        let operands: [PropertyValue]
        switch comparison {
        case .exists, .notExists: operands = []
        case .contains, .startsWith: operands = [random.pick([.string("x"), .string("")])]
        case .isIn, .notIn: operands = [.integer(Int64(random.below(3))), random.pick([.string("x"), .double(0.5)])]
        default: operands = [random.pick([.integer(1), .double(0.5), .string("x"), .integer(0)])]
        }
        return Predicate(property: random.pick(["p", "q", "p", "q", "user.plan", "user.p"]), comparison: comparison, values: operands)
    }

    /// - Parameter rules: others than plain ones too.
    func randomPlan(_ random: inout SplitMix64, rules: Bool = true) -> FunnelPlan {
        let shapes: [[[ByteString]]] = [
            [["a"], ["b"]], [["a"], ["b"], ["c"]], [["a"], ["a"]], [["a"], ["a", "b"], ["c"]], [["a", "b"], ["c", "d"], ["e"]],
            [["b"], ["a"], ["b"]], [["a", "b"], ["b", "c"], ["a"]], [["a"], ["*"], ["c"]], [["a"], ["b"], ["c"], ["d"]], [["a"]],
            [["missing"], ["a"]], [["a"], ["missing"]],
        ]
        let steps = random.pick(shapes).enumerated().map { i, names -> FunnelDefinition.Step in
            var step = FunnelDefinition.Step(ByteString("s\(i)"), events: names == ["*"] ? .any : .named(names))
            if random.chance(25) {
                step.filters = (0..<(1 + random.below(5) / 4)).map { _ in Self.filter(&random) }
            }
            return step
        }
        var definition = FunnelDefinition(steps: steps)
        definition.clock = random.chance(60) ? .second : .microsecond
        let tick = definition.clock.tick
        let limits: [Microseconds] = tick == 1 ? [1, 1, 1, 2, 3_000_000, 60_000_000] : [tick, tick, tick * 2, tick * 4, tick * 60]
        if random.chance(60) { definition.order = .flexible(limit: random.pick(limits)) }
        definition.anchor = random.chance(75) ? .firstStep : .previousStep
        definition.entry = random.pick(FunnelDefinition.Entry.allCases)
        definition.window = Microseconds(random.pick([1, 2, 5, 86_400, 40 * 86_400, 366 * 86_400])) * 1_000_000
        if tick == 1, random.chance(40) { definition.window = random.pick([1, 999, 1_000, 250_000]) }
        if !rules {
            // As it is.
        } else if random.chance(60) {
            definition = withRules(definition, &random)
        } else if definition.entry != .first, random.chance(30) {
            definition.countBy = .attempts
        }
        let range =
            random.chance(30) ? times.lowerBound + 1..<(times.lowerBound + (random.chance(50) ? 5_250_000 : 70 * 86_400_000_000)) : nil
        let asOf = random.chance(50) ? random.pick(events).time + Int64(random.below(5)) * 1_000_000 : 1 << 59
        return FunnelPlan(definition, entryRange: range, asOf: asOf)
    }

    /// A definition with up to three more rules, where they can stand together.
    private func withRules(_ plain: FunnelDefinition, _ random: inout SplitMix64) -> FunnelDefinition {
        var definition = plain
        var rules = Rule.allCases.filter { $0 != .flexible && $0 != .previousStep && $0.field != .entry }
        for _ in 0..<(1 + random.below(3)) {
            let rule = random.pick(rules)
            rules.removeAll { $0.field == rule.field }
            if definition.steps.count == 1, [.stepWindow, .excludeEnd, .excludeDrop].contains(rule.field) { continue }
            rule.apply(to: &definition, &random)
        }
        // The data's times are some seconds apart.
        let scale: Int64 = definition.clock.tick == 1 && random.chance(80) ? 1_000_000 : 1
        if definition.sessionGap != FunnelDefinition.defaultSessionGap { definition.sessionGap = definition.sessionGap * scale }
        for i in definition.steps.indices { definition.steps[i].window = definition.steps[i].window.map { $0 * scale } }
        for i in definition.exclusions.indices {
            if random.chance(80) { definition.exclusions[i].events = .named([random.pick(["a", "c", "d", "e"])]) }
            if random.chance(30) { definition.exclusions[i].filters = [Self.filter(&random)] }
        }
        if case .property = definition.countBy { definition.countBy = .property(random.pick(["p", "q", "s"])) }
        return (try? definition.overriding(countBy: nil, sessionGap: nil)) ?? plain
    }
}

extension FunnelPlan {
    /// The nearest required row before one, both from 0.
    func requiredRow(before row: Int) -> Int? { (0..<row).last { !definition.steps[$0].isOptional } }
}
