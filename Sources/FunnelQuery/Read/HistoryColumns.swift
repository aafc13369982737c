import EventStorage
import FunnelMatch
import FunnelModel

/// The positions that each user of a slice can fill, and the exclusions that apply, by conditions on users. Indexed by place in
/// the slice.
struct Allowed {
    /// By place; empty if no condition is on users.
    let positions: [StepSet]
    let exclusions: [ExclusionSet]

    var isAll: Bool { positions.isEmpty }

    init(_ plan: FunnelPlan, _ users: UserFlags?) throws {
        guard let users, !plan.userProperties.isEmpty else {
            positions = []
            exclusions = []
            return
        }
        positions = try Self.sets(plan.definition.steps.map(\.filters), users)
        exclusions = try Self.sets(plan.definition.exclusions.map(\.filters), users)
    }

    private static func sets(_ filters: [[Predicate]], _ users: UserFlags) throws -> [StepSet] {
        var sets = [StepSet](repeating: StepSet(), count: users.members.count)
        for (i, filters) in filters.enumerated() {
            let flags = try users.flags(filters.filter { $0.userProperty != nil })
            for place in sets.indices where flags[place] == 1 { sets[place].insert(i) }
        }
        return sets
    }
}

/// The positions that each of some rows can fill, and the exclusions it matches. Without conditions, all rows have the same.
struct RowKinds {
    private let samePositions: StepSet
    private let sameExclusions: ExclusionSet
    private let rows: Int
    /// By row; empty if all rows have the same.
    private var each: [(positions: StepSet, exclusions: ExclusionSet)] = []

    init(_ positions: StepSet, _ exclusions: ExclusionSet, rows: Int) {
        samePositions = positions
        sameExclusions = exclusions
        self.rows = rows
    }

    func positions(_ i: Int) -> StepSet { each.isEmpty ? samePositions : each[i].positions }
    func exclusions(_ i: Int) -> ExclusionSet { each.isEmpty ? sameExclusions : each[i].exclusions }

    mutating func add(_ positions: StepSet, _ exclusions: ExclusionSet, where flags: [UInt8]) {
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

/// The rows of a slice's users as columns: gathered name by name, then sorted by user and time.
struct HistoryColumns {
    private struct Columns {
        var row: [RowRef] = []
        var mask: [StepSet] = []
        /// Empty if the plan has no exclusions.
        var excluded: [ExclusionSet] = []
        /// Codes of held properties, then those of the unit property.
        var codes: [[Int32]]
    }

    private var gathered: Columns
    private var ordered: Columns
    /// Times of the ordered rows, in microseconds.
    private var time: [Int64] = []
    /// Index of each user's first row, then the number of rows.
    private var starts: [Int] = [0]
    /// Each user's place in the slice.
    private var places: [Int] = []
    private let excludes: Bool
    private let held: Int

    /// Empty columns.
    /// - Parameters:
    ///   - held: number of held properties, each with a column of codes.
    ///   - units: whether one more column of codes is for the unit property.
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

    /// Appends the rows of users who entered: those that fill a step or match an exclusion, or with `everyRow` all.
    /// - Returns: their keys, with their index in the gathered columns in place of row references.
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
                        guard everyRow || !positions.isEmpty || !exclusions.isEmpty else { continue }
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

    /// References of the last `count` rows gathered.
    func newest(_ count: Int) -> [RowRef] { Array(gathered.row.suffix(count)) }

    mutating func gather(codes more: [Int32], to column: Int) { gathered.codes[column].append(contentsOf: more) }

    /// Sorts all gathered rows into the ordered columns.
    /// - Parameter list: the keys of all rows in order, with their index in the gathered columns.
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
        // Memory of a long history is released; most others are shorter.
        if size > Self.keptRows { gathered = Columns(codes: gathered.codes.map { _ in [] }) }
    }

    private static let keptRows = 1 << 18

    private static func order<T>(_ column: [T], _ numbers: KeyList, into ordered: inout [T]) {
        ordered.removeAll(keepingCapacity: true)
        let (numbers, column) = (numbers.span, column.span)
        for i in numbers.indices { ordered.append(column[Int(truncatingIfNeeded: numbers[i])]) }
    }

    var users: Int { places.count }

    /// Copies the rows of the user at an index below `users`.
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
