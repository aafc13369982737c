import EventStorage
import FunnelMatch
import FunnelModel

/// One thread's reader of the lists of a kernel plan.
final class KernelReader {
    private let plan: KernelPlan
    private let keyReader: KeyReader
    private let conditions: [RowConditions?]
    private var parts = KeyBuffers()
    /// Lists whose rows are needed in every slice, and so are read together with their keys.
    private let wantsRows: Set<Int>
    private let ordersRows: Bool
    /// By list, the rows of its keys; nil until they are read.
    private var rows: [ListRows?]
    private var places = 0..<0
    private let users: UserFlags?
    /// By list and place in the slice: 1 for users whose events are in the list; nil is all users.
    private var userFlags: [[UInt8]?]
    /// Keys of the slice loaded last, one list for each list of the plan, in ticks of the rules.
    private(set) var lists: [KeyList]

    /// A reader of a plan's lists.
    /// - Parameters:
    ///   - rowsOfLists: lists whose rows are needed in every slice.
    ///   - ordersRows: whether rows of one user and time are read in canonical order (`FUNNEL.md` section 1), and without
    ///     duplicates.
    init(_ plan: KernelPlan, rowsOfLists: Set<Int> = [], ordersRows: Bool = false) {
        self.plan = plan
        let keyReader = plan.selection.reader(plan.layout)
        self.keyReader = keyReader
        conditions = plan.lists.map { $0.conditions.isEmpty ? nil : RowConditions(plan.selection, $0.conditions) }
        wantsRows = rowsOfLists
        self.ordersRows = ordersRows
        lists = plan.lists.map { _ in KeyList() }
        rows = plan.lists.map { _ in nil }
        users = plan.lists.contains(where: \.asksForUsers) ? UserFlags(plan.query) : nil
        userFlags = plan.lists.map { _ in nil }
    }

    /// Reads a slice: fills `lists`.
    func load(_ places: Range<Int>) throws {
        self.places = places
        try loadUsers()
        keyReader.begin(rowsMax: plan.query.heavy.rowsMax)
        for i in lists.indices {
            rows[i] = nil
            if wantsRows.contains(i) {
                // Moved out, so that it can be filled again without a copy.
                var memory = KeyList()
                swap(&memory, &lists[i])
                let found = try loadRows(i, reusing: memory)
                lists[i] = found.keys
                rows[i] = found
            } else {
                try loadKeys(i, into: &lists[i])
            }
            if plan.perTick > 1 { lists[i].divideTicks(by: plan.perTick, timeBits: plan.layout.timeBits) }
        }
        guard plan.fills(lists) <= Limits.userFills else { throw StoreError(.tooManyRows, "the users' events fill too many steps") }
    }

    private func loadUsers() throws {
        guard let users else { return }
        try users.load(places)
        for (i, list) in plan.lists.enumerated() where list.asksForUsers {
            var flags = try users.flags(list.userConditions)
            if list.isOfMembers { for place in flags.indices { flags[place] &= users.members[place] } }
            userFlags[i] = flags
        }
    }

    /// The rows of the keys of a list.
    func rows(_ i: Int) throws -> ListRows {
        if let known = rows[i] { return known }
        keyReader.begin(rowsMax: plan.query.heavy.rowsMax)
        var found = try loadRows(i, reusing: KeyList())
        if found.keys.count != lists[i].count {
            // Keys read without their rows can contain duplicates.
            var keys = KeyList()
            try loadKeys(i, into: &keys)
            found = found.repeated(as: keys)
        }
        rows[i] = found
        return found
    }

    /// The first in canonical order of some rows of one user and time.
    func first(of refs: [RowRef], list: Int) throws -> RowRef { try keyReader.first(of: refs, names: plan.lists[list].names) }

    /// Whether some row's time was supplied by the server. Then duplicates can differ in their times, so rows must be read to
    /// find them.
    private func isServerTimed(_ i: Int) -> Bool { plan.lists[i].names.contains(where: plan.selection.isServerTimed) }

    private func loadKeys(_ i: Int, into list: inout KeyList) throws {
        if isServerTimed(i) {
            parts.clear()
            for rows in try settled(i) { parts.add(rows.keys) }
            parts.merge(into: &list)
        } else if let conditions = conditions[i] {
            try loadKeys(i, where: conditions, into: &list)
        } else {
            try keyReader.load(plan.lists[i].names, places: places, into: &list)
        }
        if let flags = userFlags[i] { list.keep(users: flags, timeBits: plan.layout.timeBits) }
        if plan.lists[i].isEntry, let entry = plan.entry { list.keep(ticks: entry, timeBits: plan.layout.timeBits) }
    }

    private func loadKeys(_ i: Int, where conditions: RowConditions, into list: inout KeyList) throws {
        let names = plan.lists[i].names
        if names.count == 1 { return try keyReader.load(names[0], places: places, where: conditions, into: &list) }
        parts.clear()
        for name in names {
            var keys = parts.take()
            try keyReader.load(name, places: places, where: conditions, into: &keys)
            parts.add(keys)
        }
        parts.merge(into: &list)
    }

    private func loadRows(_ i: Int, reusing memory: consuming KeyList) throws -> ListRows {
        let list = plan.lists[i]
        let entry = list.isEntry ? plan.entry : nil
        // Duplicates can differ in whether they meet the conditions, too.
        let isSettled = conditions[i] != nil || isServerTimed(i) || ordersRows
        if !isSettled, entry == nil, userFlags[i] == nil, plan.selection.hasOneSource(list.names) {
            var keys = memory
            if let first = try keyReader.load(list.names, places: places, into: &keys) {
                return ListRows(keys: keys, from: .neighbours(first))
            }
        }
        var rows = isSettled ? try merged(settled(i)) : try keyReader.loadAll(list.names, places: places)
        if let flags = userFlags[i] { rows.keep(users: flags, timeBits: plan.layout.timeBits) }
        if let entry { rows.keep(ticks: entry, timeBits: plan.layout.timeBits) }
        return ListRows(keys: rows.keys, from: .each(rows.refs))
    }

    private func merged(_ lists: [RowList]) -> RowList { ordersRows ? .mergingInOrder(lists) : .merging(lists) }

    private func settled(_ i: Int) throws -> [RowList] {
        try plan.lists[i].names.map { name in
            var rows = try keyReader.loadRows(name, places: places, isOrdered: ordersRows)
            try conditions[i]?.filter(&rows)
            return rows
        }
    }
}

/// The rows of a list.
struct ListRows {
    enum Source {
        /// Key i is that of the i-th row from this on.
        case neighbours(RowRef)
        /// `RowRef.bits` of each key's row.
        case each(KeyList)
    }

    /// In ticks of the layout, not of the rules.
    let keys: KeyList
    let from: Source

    subscript(i: Int) -> RowRef {
        switch from {
        case .neighbours(let first): RowRef(bits: first.bits &+ UInt64(truncatingIfNeeded: i))
        case .each(let refs): RowRef(bits: refs[i])
        }
    }
}

extension ListRows {
    /// The same rows, with each key as often as in `all`, a list with more duplicates. The last row of a key takes the further
    /// places.
    func repeated(as all: KeyList) -> ListRows {
        var refs: [UInt64] = []
        refs.reserveCapacity(all.count)
        var row = 0
        for i in 0..<all.count {
            while row < keys.count, keys[row] < all[i] { row += 1 }
            refs.append(self[min(row, keys.count - 1)].bits)
            if row + 1 < keys.count, keys[row + 1] == all[i] { row += 1 }
        }
        return ListRows(keys: all, from: .each(KeyList(refs)))
    }
}

extension KeyList {
    /// Keeps the keys whose tick is in a range.
    mutating func keep(ticks: Range<UInt64>, timeBits: Int) {
        let mask: UInt64 = 1 << UInt64(timeBits) - 1
        let width = ticks.upperBound &- ticks.lowerBound
        unsafe rewrite { keys, count in
            var kept = 0
            var i = 0
            while i < count {
                let key = unsafe keys[i]
                unsafe keys[kept] = key
                kept &+= (key & mask) &- ticks.lowerBound < width ? 1 : 0
                i &+= 1
            }
            return kept
        }
    }

    /// Keeps the keys of users whose flag is 1.
    /// - Parameter flags: by place in the slice.
    mutating func keep(users flags: [UInt8], timeBits: Int) {
        guard let last = flags.indices.last else { return }
        let flags = flags.span
        unsafe rewrite { keys, count in
            var kept = 0
            var i = 0
            while i < count {
                let key = unsafe keys[i]
                unsafe keys[kept] = key
                kept &+= Int(flags[min(Int(truncatingIfNeeded: key &>> UInt64(timeBits)), last)])
                i &+= 1
            }
            return kept
        }
    }

    /// Converts ticks to those of a coarser clock, rounded down.
    mutating func divideTicks(by divisor: UInt64, timeBits: Int) {
        let mask: UInt64 = 1 << UInt64(timeBits) - 1
        unsafe rewrite { keys, count in
            var i = 0
            // The compiler turns a division by a constant into a multiplication.
            switch divisor {
            case 1_000:
                while i < count {
                    let key = unsafe keys[i]
                    unsafe keys[i] = key & ~mask | (key & mask) / 1_000
                    i &+= 1
                }
            case 1_000_000:
                while i < count {
                    let key = unsafe keys[i]
                    unsafe keys[i] = key & ~mask | (key & mask) / 1_000_000
                    i &+= 1
                }
            default:
                while i < count {
                    let key = unsafe keys[i]
                    unsafe keys[i] = key & ~mask | (key & mask) / divisor
                    i &+= 1
                }
            }
            return count
        }
    }
}
