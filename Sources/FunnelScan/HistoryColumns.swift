import FunnelMatch
import FunnelModel
import FunnelStorage

/// Which steps each place of a slice may do, and which exclusions matter to it, by conditions on users.
struct Allowed {
    let positions: [UInt64]
    let exclusions: [UInt64]

    var isAll: Bool { positions.isEmpty }

    init(_ plan: FunnelPlan, _ users: UserFlags?) throws {
        guard let users, !plan.userProperties.isEmpty else {
            positions = []
            exclusions = []
            return
        }
        positions = try Self.bits(plan.definition.steps.map(\.filters), users)
        exclusions = try Self.bits(plan.definition.exclusions.map(\.filters), users)
    }

    private static func bits(_ filters: [[Predicate]], _ users: UserFlags) throws -> [UInt64] {
        var bits = [UInt64](repeating: 0, count: users.members.count)
        for (i, filters) in filters.enumerated() {
            let flags = try users.flags(filters.filter { $0.userProperty != nil })
            for place in bits.indices { bits[place] |= UInt64(flags[place]) << UInt64(i) }
        }
        return bits
    }
}

/// What each of some rows can be. Without conditions all of them are the same.
struct RowKinds {
    private let samePositions: UInt64
    private let sameExclusions: UInt64
    private let rows: Int
    /// By row; empty where all are the same.
    private var each: [(positions: UInt64, exclusions: UInt64)] = []

    init(_ positions: UInt64, _ exclusions: UInt64, rows: Int) {
        samePositions = positions
        sameExclusions = exclusions
        self.rows = rows
    }

    func positions(_ i: Int) -> UInt64 { each.isEmpty ? samePositions : each[i].positions }
    func exclusions(_ i: Int) -> UInt64 { each.isEmpty ? sameExclusions : each[i].exclusions }

    mutating func add(_ positions: UInt64, _ exclusions: UInt64, where flags: [UInt8]) {
        tellApart()
        for i in flags.indices where flags[i] == 1 {
            each[i].positions |= positions
            each[i].exclusions |= exclusions
        }
    }

    mutating func narrow(_ keys: KeyList, _ layout: KeyLayout, _ allowed: Allowed) {
        tellApart()
        let last = allowed.positions.count - 1
        for i in each.indices {
            let place = min(layout.place(keys[i]), last)
            each[i].positions &= allowed.positions[place]
            each[i].exclusions &= allowed.exclusions[place]
        }
    }

    private mutating func tellApart() {
        if each.isEmpty { each = Array(repeating: (samePositions, sameExclusions), count: rows) }
    }
}

/// Rows of a slice in no order, column by column.
struct HistoryColumns {
    private var rows: [RowRef] = []
    private var mask: [UInt64] = []
    private var excluded: [UInt64] = []
    private var codes: [[Int32]]
    private let excludes: Bool
    /// One user's, exchanged with the history's so that both keep their memory.
    private var spare = UserHistory(time: [], mask: [])

    init(excludes: Bool, codes: Int) {
        self.excludes = excludes
        self.codes = Array(repeating: [], count: codes)
    }

    mutating func removeAll() {
        rows.removeAll(keepingCapacity: true)
        mask.removeAll(keepingCapacity: true)
        excluded.removeAll(keepingCapacity: true)
        for i in codes.indices { codes[i].removeAll(keepingCapacity: true) }
    }

    /// Takes the rows of users who entered that are a step's, an exclusion's, or any.
    /// - Returns: their keys, and in place of their refs their indexes here.
    mutating func append(_ list: RowList, _ kinds: RowKinds, _ entered: [UInt8], _ layout: KeyLayout, everyRow: Bool) -> RowList {
        var keys = KeyList()
        var indexes = KeyList()
        let last = entered.count - 1
        unsafe indexes.fill(capacity: list.count) { index in
            unsafe keys.fill(capacity: list.count) { target in
                var kept = 0
                for i in 0..<list.count {
                    let (positions, exclusions) = (kinds.positions(i), kinds.exclusions(i))
                    let key = list.keys[i]
                    guard everyRow || positions | exclusions != 0, entered[min(layout.place(key), last)] == 1 else { continue }
                    unsafe target[kept] = key
                    unsafe index[kept] = UInt64(rows.count)
                    kept += 1
                    rows.append(list.ref(i))
                    mask.append(positions)
                    if excludes { excluded.append(exclusions) }
                }
                return kept
            }
            return keys.count
        }
        return RowList(keys: keys, refs: indexes)
    }

    /// Where the rows stand that were taken last.
    func newest(_ count: Int) -> [RowRef] { Array(rows.suffix(count)) }

    mutating func append(codes more: [Int32], to column: Int) { codes[column].append(contentsOf: more) }

    /// One user's rows.
    /// - Parameters:
    ///   - merged: keys of the rows in order, with their indexes here.
    ///   - held: so many of the columns of codes are of held properties; one behind them is of units.
    mutating func copy(_ merged: RowList, _ range: Range<Int>, _ layout: KeyLayout, to history: inout GeneralScan.History, held: Int) {
        history.row.removeAll(keepingCapacity: true)
        var (time, masks, exclusions) = (spare.time, spare.mask, spare.excluded)
        (spare.time, spare.mask, spare.excluded) = ([], [], [])
        time.removeAll(keepingCapacity: true)
        masks.removeAll(keepingCapacity: true)
        exclusions.removeAll(keepingCapacity: true)
        for i in range {
            let index = Int(truncatingIfNeeded: merged.refs[i])
            time.append(layout.time(merged.keys[i]))
            masks.append(mask[index])
            if excludes { exclusions.append(excluded[index]) }
            history.row.append(rows[index])
        }
        (spare.time, spare.mask, spare.excluded) = (history.events.time, history.events.mask, history.events.excluded)
        (history.events.time, history.events.mask, history.events.excluded) = (time, masks, exclusions)
        if codes.isEmpty { return }
        let perUser = codes.map { column in range.map { column[Int(truncatingIfNeeded: merged.refs[$0])] } }
        history.events.held = Array(perUser.prefix(held))
        history.events.unit = perUser.count > held ? perUser[held] : []
    }
}
