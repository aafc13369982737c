import EventStorage
import FunnelMatch
import FunnelModel

/// One thread's reader of what a plan asks for of users, slice by slice and in it user by user. Users without an event
/// that may start an attempt are left out.
final class HistoryReader {
    private let plan: FunnelPlan
    private let starting: UInt64
    private let ordersTies: Bool
    private let keyReader: KeyReader?
    private let users: UserFlags?
    private let names: [Name]
    private let conditions: [RowConditions]
    private let view: StoreView
    private let heavy: HeavyUsers
    /// The held properties, and last that of the units.
    private let properties: [ByteString]
    private var codes: [PropertyCodes]
    private var numbers = ValueNumbers()

    /// Places that are still to be read.
    private var pending = 0..<0
    private var firstPlace = 0
    private var columns: HistoryColumns
    /// The next user in the columns.
    private var user = 0

    /// What rows of a name can be.
    private struct Name {
        /// Without conditions.
        let positions: UInt64
        let exclusions: UInt64
        let tests: [Test]
    }

    private struct Test {
        let conditions: Int
        var positions: UInt64 = 0
        var exclusions: UInt64 = 0
    }

    /// - Parameters:
    ///   - starting: steps whose events may start an attempt, as bits; nil is as the order has it.
    ///   - ordersTies: whether it matters which of some rows of one name and time comes first.
    init(_ query: ShardQuery, starting: UInt64? = nil, ordersTies: Bool = false) {
        plan = query.plan
        view = query.view
        heavy = query.heavy
        self.starting = starting ?? (plan.definition.order == .any ? .max : 1)
        properties = plan.heldProperties + (plan.unitProperty.map { [$0] } ?? [])
        self.ordersTies = ordersTies || !properties.isEmpty || plan.readsProperties || plan.exclusionsReadProperties
        let wanted = plan.events ?? view.eventNames()
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
        for (i, step) in plan.definition.steps.enumerated() where positions >> UInt64(i) & 1 == 1 {
            guard let test = test(step.filters) else { continue }
            positions &= ~(1 << UInt64(i))
            tests[test].positions |= 1 << UInt64(i)
        }
        for (i, exclusion) in plan.definition.exclusions.enumerated() where exclusions >> UInt64(i) & 1 == 1 {
            guard let test = test(exclusion.filters) else { continue }
            exclusions &= ~(1 << UInt64(i))
            tests[test].exclusions |= 1 << UInt64(i)
        }
        return Name(positions: positions, exclusions: exclusions, tests: tests)
    }

    func load(_ places: Range<Int>) {
        pending = places
        user = columns.users
    }

    /// Goes on to the next user; false where there is none left.
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

    /// Loads the users of some places, or as many of the first as may be read at once.
    /// - Returns: the place behind the last of them.
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
        // First those that may start an attempt: of users without one nothing else matters.
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
        // Rows of one time go by their names.
        loaded.sort { $0.name < $1.name }
        var lists: [RowList] = []
        for i in loaded.indices {
            try checkCancelled()
            let list = columns.gather(loaded[i].rows, loaded[i].kinds, entered, keyReader.layout, everyRow: plan.needsEveryEvent)
            // A long history is held as seldom as can be.
            loaded[i].rows = RowList()
            loaded[i].kinds = RowKinds(0, 0, rows: 0)
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
        (names[name].positions | names[name].tests.reduce(0) { $0 | $1.positions }) & starting != 0
    }

    private func kinds(_ name: Int, _ rows: RowList, _ allowed: Allowed, _ layout: KeyLayout) throws -> RowKinds {
        var kinds = RowKinds(names[name].positions, names[name].exclusions, rows: rows.count)
        for test in names[name].tests {
            kinds.add(test.positions, test.exclusions, where: try conditions[test.conditions].flags(of: rows))
        }
        if !allowed.isAll { kinds.narrow(rows.keys, layout, allowed) }
        return kinds
    }

    /// Notes users with an event that may start an attempt.
    private func mark(_ rows: RowList, _ kinds: RowKinds, _ layout: KeyLayout, _ entered: inout [UInt8]) {
        let last = entered.count - 1
        let isRanged = plan.entryRange != Int64.min..<Int64.max
        for i in 0..<rows.count where kinds.positions(i) & starting != 0 {
            let key = rows.keys[i]
            if isRanged, !plan.entryRange.contains(layout.time(key)) { continue }
            entered[min(layout.place(key), last)] = 1
        }
    }
}
