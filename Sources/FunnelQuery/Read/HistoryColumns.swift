import EventStorage
import FunnelMatch
import FunnelModel

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

/// The rows of a slice's users, column by column: first gathered name by name, then put in order.
struct HistoryColumns {
    private struct Columns {
        var row: [RowRef] = []
        var mask: [UInt64] = []
        /// Empty where nothing is excluded.
        var excluded: [UInt64] = []
        var codes: [[Int32]]
    }

    private var gathered: Columns
    private var ordered: Columns
    /// Of the rows in order, microseconds.
    private var time: [Int64] = []
    /// Where each user's rows begin, and one more for the end; the users' places in the slice.
    private var starts: [Int] = [0]
    private var places: [Int] = []
    private let excludes: Bool
    private let held: Int

    /// - Parameters:
    ///   - held: so many columns of codes are of held properties.
    ///   - units: whether one behind them is of units.
    init(excludes: Bool, held: Int, units: Bool) {
        self.excludes = excludes
        self.held = held
        gathered = Columns(codes: Array(repeating: [], count: held + (units ? 1 : 0)))
        ordered = gathered
    }

    mutating func removeAll() {
        gathered.row.removeAll(keepingCapacity: true)
        gathered.mask.removeAll(keepingCapacity: true)
        gathered.excluded.removeAll(keepingCapacity: true)
        for i in gathered.codes.indices { gathered.codes[i].removeAll(keepingCapacity: true) }
        places.removeAll(keepingCapacity: true)
        starts.removeAll(keepingCapacity: true)
    }

    /// Takes the rows of users who entered that are a step's, an exclusion's, or any.
    /// - Returns: their keys, and in place of their refs the order in which they were taken.
    mutating func gather(_ list: RowList, _ kinds: RowKinds, _ entered: [UInt8], _ layout: KeyLayout, everyRow: Bool) -> RowList {
        var keys = KeyList()
        var numbers = KeyList()
        let last = entered.count - 1
        unsafe list.withRows { key, ref in
            unsafe numbers.fill(capacity: list.count) { number in
                unsafe keys.fill(capacity: list.count) { target in
                    var kept = 0
                    for i in 0..<list.count {
                        let (positions, exclusions) = (kinds.positions(i), kinds.exclusions(i))
                        guard everyRow || positions | exclusions != 0 else { continue }
                        guard entered[min(layout.place(unsafe key[i]), last)] == 1 else { continue }
                        unsafe target[kept] = unsafe key[i]
                        unsafe number[kept] = UInt64(gathered.row.count)
                        kept += 1
                        gathered.row.append(RowRef(bits: unsafe ref[i]))
                        gathered.mask.append(positions)
                        if excludes { gathered.excluded.append(exclusions) }
                    }
                    return kept
                }
                return keys.count
            }
        }
        return RowList(keys: keys, refs: numbers)
    }

    /// Where the rows stand that were taken last.
    func newest(_ count: Int) -> [RowRef] { Array(gathered.row.suffix(count)) }

    mutating func gather(codes more: [Int32], to column: Int) { gathered.codes[column].append(contentsOf: more) }

    /// Puts the rows in order.
    /// - Parameter list: the keys of all of them, and the order in which they were taken.
    mutating func order(_ list: RowList, _ layout: KeyLayout) {
        let (keys, numbers) = (list.keys, list.refs)
        time.removeAll(keepingCapacity: true)
        var place = -1
        for i in 0..<keys.count {
            let key = keys[i]
            time.append(layout.time(key))
            if layout.place(key) == place { continue }
            place = layout.place(key)
            places.append(place)
            starts.append(i)
        }
        starts.append(keys.count)
        let size = gathered.row.count
        Self.order(gathered.row, numbers, into: &ordered.row)
        Self.order(gathered.mask, numbers, into: &ordered.mask)
        Self.order(gathered.excluded, excludes ? numbers : KeyList(), into: &ordered.excluded)
        for i in gathered.codes.indices { Self.order(gathered.codes[i], numbers, into: &ordered.codes[i]) }
        // What a long history took is given back; those to come are shorter.
        if size > Self.keptRows { gathered = Columns(codes: gathered.codes.map { _ in [] }) }
    }

    private static let keptRows = 1 << 18

    private static func order<T>(_ column: [T], _ numbers: KeyList, into ordered: inout [T]) {
        ordered.removeAll(keepingCapacity: true)
        let (numbers, column) = (numbers.span, column.span)
        for i in numbers.indices { ordered.append(column[Int(truncatingIfNeeded: numbers[i])]) }
    }

    var users: Int { places.count }

    /// - Returns: the user's place in the slice.
    mutating func copy(user: Int, to history: inout GeneralScan.History) -> Int {
        let range = starts[user]..<starts[user + 1]
        Self.copy(ordered.row, range, to: &history.row)
        Self.copy(time, range, to: &history.events.time)
        Self.copy(ordered.mask, range, to: &history.events.mask)
        if excludes { Self.copy(ordered.excluded, range, to: &history.events.excluded) }
        if history.events.held.count < held { history.events.held = Array(repeating: [], count: held) }
        for i in 0..<held { Self.copy(ordered.codes[i], range, to: &history.events.held[i]) }
        if ordered.codes.count > held { Self.copy(ordered.codes[held], range, to: &history.events.unit) }
        return places[user]
    }

    private static func copy<T>(_ column: [T], _ range: Range<Int>, to target: inout [T]) {
        target.removeAll(keepingCapacity: true)
        target.append(contentsOf: column[range])
    }
}
