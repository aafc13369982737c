import EventStorage
import FunnelMatch
import FunnelModel

/// One thread's reader of the histories that a plan asks for, slice by slice and user by user. It skips users without an event
/// that may start an attempt.
final class HistoryReader {
    private let plan: FunnelPlan
    private let starting: StepSet
    private let ordersTies: Bool
    private let keyReader: KeyReader?
    private let users: UserFlags?
    private let names: [Name]
    private let conditions: [RowConditions]
    private let view: StoreView
    private let heavy: HeavyUsers
    /// The held properties, then the unit property.
    private let properties: [ByteString]
    private var codes: [PropertyCodes]
    private var numbers = ValueNumbers()

    /// Places of the slice that are not read yet.
    private var pending = 0..<0
    private var firstPlace = 0
    private var columns: HistoryColumns
    /// The next user in the columns.
    private var user = 0

    /// The positions and exclusions of the rows of one name.
    private struct Name {
        /// Positions whose step has no conditions.
        let positions: StepSet
        /// Exclusions without conditions.
        let exclusions: ExclusionSet
        let tests: [Test]
    }

    private struct Test {
        /// Index in `HistoryReader.conditions`.
        let conditions: Int
        /// Positions of the rows that meet the conditions.
        var positions = StepSet()
        var exclusions = ExclusionSet()
    }

    /// A reader of a query's users.
    /// - Parameters:
    ///   - starting: positions whose events may start an attempt; nil means those of the plan's order.
    ///   - ordersTies: whether rows of one name and time must be in canonical order.
    init(_ query: ShardQuery, starting: StepSet? = nil, ordersTies: Bool = false) {
        plan = query.plan
        view = query.view
        heavy = query.heavy
        self.starting = starting ?? (plan.definition.order == .any ? .all : StepSet(only: 0))
        properties = plan.heldProperties + (plan.unitProperty.map { [$0] } ?? [])
        self.ordersTies = ordersTies || !properties.isEmpty || plan.readsProperties || plan.exclusionsReadProperties
        let wanted = plan.events(of: view.eventNames())
        let keys = view.selection(wanted)
        keyReader = keys.exactLayout.map(keys.reader)
        users = UserFlags(query)
        var distinct: [[Predicate]] = []
        names = wanted.map { Self.name($0, query.plan, &distinct) }
        conditions = distinct.map { RowConditions(keys, $0) }
        codes = properties.map { PropertyCodes(query.view, $0) }
        columns = HistoryColumns(excludes: !plan.exclusions.isEmpty, held: plan.heldProperties.count, units: plan.unitProperty != nil)
    }

    private static func name(_ name: ByteString, _ plan: FunnelPlan, _ distinct: inout [[Predicate]]) -> Name {
        var (positions, exclusions) = (plan.positions(ofEvent: name), plan.exclusions(ofEvent: name))
        var tests: [Test] = []
        func test(_ filters: [Predicate]) -> Int? {
            let own = filters.filter { $0.userProperty == nil }
            if own.isEmpty { return nil }
            let known = distinct.firstIndex(of: own) ?? distinct.count
            if known == distinct.count { distinct.append(own) }
            if let i = tests.firstIndex(where: { $0.conditions == known }) { return i }
            tests.append(Test(conditions: known))
            return tests.count - 1
        }
        for (i, step) in plan.definition.steps.enumerated() where positions.contains(i) {
            guard let test = test(step.filters) else { continue }
            positions.remove(i)
            tests[test].positions.insert(i)
        }
        for (i, exclusion) in plan.definition.exclusions.enumerated() where exclusions.contains(i) {
            guard let test = test(exclusion.filters) else { continue }
            exclusions.remove(i)
            tests[test].exclusions.insert(i)
        }
        return Name(positions: positions, exclusions: exclusions, tests: tests)
    }

    /// Begins a slice; `next` reads its users.
    func load(_ places: Range<Int>) {
        pending = places
        user = columns.users
    }

    /// Reads the next user into `history`; false if none is left in the slice.
    /// - Throws: `MatchError`, `StoreError`.
    func next(_ history: inout GeneralScan.History) throws -> Bool {
        guard let keyReader else { return false }
        while user == columns.users {
            if pending.isEmpty { return false }
            let part = pending.lowerBound..<min(pending.upperBound, pending.lowerBound + keyReader.layout.placesMax)
            pending = try loadFirst(of: part, keyReader)..<pending.upperBound
        }
        history.place = firstPlace + columns.copy(user: user, to: &history)
        user += 1
        return true
    }

    // MARK: A part of a slice

    /// Loads the users of some places, or only the first ones if all have more events than may be read at once.
    /// - Returns: the place after the last user loaded.
    private func loadFirst(of places: Range<Int>, _ keyReader: KeyReader) throws -> Int {
        do {
            try load(places, keyReader)
            return places.upperBound
        } catch let error as StoreError where error.code == .tooManyRows {
            if places.count > 1 { return try loadFirst(of: places.lowerBound..<(places.lowerBound + places.count / 2), keyReader) }
            columns.removeAll()
            user = columns.users
            try heavy.meetCrowd(places.lowerBound)
            return places.upperBound
        }
    }

    private func load(_ places: Range<Int>, _ keyReader: KeyReader) throws {
        keyReader.begin(rowsMax: heavy.rowsMax)
        firstPlace = places.lowerBound
        user = 0
        columns.removeAll()
        if numbers.values.count > ValueNumbers.kept { forget() }
        try users?.load(places)
        let allowed = try Allowed(plan, users)
        var entered = [UInt8](repeating: 0, count: places.count)
        var loaded: [(name: Int, rows: RowList, kinds: RowKinds)] = []
        // First the names that may start an attempt: users without such an event are skipped.
        let (first, others) = (names.indices.filter(startsAttempts), names.indices.filter { !startsAttempts($0) })
        for name in first {
            var rows = try keyReader.loadRows(name, places: places, isOrdered: ordersTies)
            if let users { rows.keep(users: users.members, timeBits: keyReader.layout.timeBits) }
            let kinds = try kinds(name, rows, allowed, keyReader.layout)
            mark(rows, kinds, keyReader.layout, &entered)
            loaded.append((name, rows, kinds))
        }
        guard entered.contains(1) else { return }
        for name in others {
            var rows = try keyReader.loadRows(name, places: places, isOrdered: ordersTies)
            rows.keep(users: entered, timeBits: keyReader.layout.timeBits)
            loaded.append((name, rows, try kinds(name, rows, allowed, keyReader.layout)))
        }
        // Rows of one time are in the order of their names.
        loaded.sort { $0.name < $1.name }
        var lists: [RowList] = []
        for i in loaded.indices {
            try checkCancelled()
            let list = columns.gather(loaded[i].rows, loaded[i].kinds, entered, keyReader.layout, everyRow: plan.needsEveryEvent)
            // Released early: a long history should be in memory as few times as possible.
            loaded[i].rows = RowList()
            loaded[i].kinds = RowKinds(StepSet(), ExclusionSet(), rows: 0)
            if list.count > 0 { lists.append(list) }
            for column in codes.indices {
                columns.gather(codes: try codes[column].codes(of: columns.newest(list.count)) { numbers.number(of: $0) }, to: column)
            }
        }
        try checkCancelled()
        let all = RowList.mergingInOrder(lists)
        lists = []
        try checkCancelled()
        columns.order(all, keyReader.layout)
        try checkCancelled()
    }

    private func checkCancelled() throws(MatchError) {
        if view.isCancelled() { throw MatchError.cancelled }
    }

    private func forget() {
        numbers = ValueNumbers()
        codes = properties.map { PropertyCodes(view, $0) }
    }

    private func startsAttempts(_ name: Int) -> Bool {
        !(names[name].tests.reduce(names[name].positions) { $0 | $1.positions } & starting).isEmpty
    }

    private func kinds(_ name: Int, _ rows: RowList, _ allowed: Allowed, _ layout: KeyLayout) throws -> RowKinds {
        var kinds = RowKinds(names[name].positions, names[name].exclusions, rows: rows.count)
        for test in names[name].tests {
            kinds.add(test.positions, test.exclusions, where: try conditions[test.conditions].flags(of: rows))
        }
        if !allowed.isAll { kinds.narrow(rows.keys, layout, allowed) }
        return kinds
    }

    /// Sets the flag of users with an event that may start an attempt.
    private func mark(_ rows: RowList, _ kinds: RowKinds, _ layout: KeyLayout, _ entered: inout [UInt8]) {
        let last = entered.count - 1
        let isRanged = plan.entryRange != Int64.min..<Int64.max
        for i in 0..<rows.count where !(kinds.positions(i) & starting).isEmpty {
            let key = rows.keys[i]
            if isRanged, !plan.entryRange.contains(layout.time(key)) { continue }
            entered[min(layout.place(key), last)] = 1
        }
    }
}
