import FunnelModel

/// The rows of one unit: a user, or a session or a value of one. All times in ticks.
struct UnitRows: Sendable {
    private let plan: FunnelPlan
    let rules: ChainRules

    /// By row: row of the history, clock value, positions.
    private(set) var source: [Int] = []
    private(set) var clock: [Int64] = []
    private(set) var mask: [UInt64] = []
    /// Rows of exclusions: clock value, exclusions.
    private(set) var excludedClock: [Int64] = []
    private(set) var excludedBits: [UInt64] = []
    private(set) var excluded: UInt64 = 0
    /// No chain is deeper, as far as one look at the rows tells.
    private(set) var depthMax = 0

    /// Rows that can fill a position, in groups of equal held values, in each by position, in each by time.
    private(set) var row: [Int] = []
    private(set) var time: [Int64] = []
    /// `begin[g * steps + p]` is where the rows of a group and position begin.
    private(set) var begin: [Int] = [0]
    private(set) var groups = 0
    /// Some row can fill two positions.
    private(set) var shares = false
    private var entries: [Entry] = []
    private var cursors: [Int] = []

    /// What may start an attempt, in order of time. In any order there may be several of one row.
    private(set) var starts: [Start] = []

    struct Start {
        /// Its entry in the lists; means nothing in any order.
        let index: Int
        let group: Int
        let row: Int
    }

    /// A row at a position, with the values it holds there.
    private struct Entry {
        var values: UInt64
        var third: Int32
        var position: Int32
        var row: Int
    }

    init(_ plan: FunnelPlan, _ rules: ChainRules) {
        self.plan = plan
        self.rules = rules
    }

    func list(_ group: Int, _ position: Int) -> Range<Int> {
        let at = group * rules.steps + position
        return begin[at]..<begin[at + 1]
    }

    mutating func load(_ history: UserHistory, _ chosen: some Sequence<Int>) {
        source.removeAll(keepingCapacity: true)
        clock.removeAll(keepingCapacity: true)
        mask.removeAll(keepingCapacity: true)
        excludedClock.removeAll(keepingCapacity: true)
        excludedBits.removeAll(keepingCapacity: true)
        excluded = 0
        shares = false
        var reached: UInt64 = 0
        // Positions that the next row could reach.
        var ahead: UInt64 = rules.slack == 0 && !rules.isAny ? 1 : ~0
        for i in chosen {
            let positions = history.mask[i]
            let tick = plan.ticks(history.time[i])
            source.append(i)
            clock.append(tick)
            mask.append(positions)
            if positions & (positions &- 1) != 0 { shares = true }
            let new = positions & ahead & ~reached
            if new != 0 {
                reached |= new
                ahead |= new << 1
                while ahead & rules.optional & ~(ahead >> 1) != 0 { ahead |= (ahead & rules.optional) << 1 }
            }
            if rules.excluding != 0, history.excluded[i] != 0 {
                excludedClock.append(tick)
                excludedBits.append(history.excluded[i])
                excluded |= history.excluded[i]
            }
        }
        depthMax = rules.isAny ? reached.nonzeroBitCount : 0
        if rules.isAny { return }
        while depthMax < rules.steps, reached.has(depthMax) || rules.optional.has(depthMax) { depthMax += 1 }
        // Each step that is done takes an event of its own.
        depthMax = min(depthMax, mask.count + rules.optional.nonzeroBitCount)
        while depthMax > 0, !reached.has(depthMax - 1) { depthMax -= 1 }
    }

    /// Can the row fill the position, with a value of every held property?
    func fills(_ i: Int, _ position: Int, _ history: UserHistory) -> Bool {
        guard mask[i].has(position) else { return false }
        for names in rules.held where history.held[names[position]][source[i]] < 0 { return false }
        return true
    }

    /// Fills the lists by group and position, and the starts in a range of microseconds.
    /// - Throws: `MatchError.tooManyEvents` where they need too much memory; `.cancelled`.
    mutating func arrange(_ history: UserHistory, entryRange: Range<Int64>, _ budget: inout WorkBudget) throws(MatchError) {
        try budget.pass(mask.count)
        try rules.held.isEmpty ? arrangeAll() : arrangeHeld(history, &budget)
        starts.removeAll(keepingCapacity: true)
        if rules.isAny, rules.held.isEmpty {
            for i in mask.indices where mask[i] != 0 && entryRange.contains(history.time[source[i]]) {
                starts.append(Start(index: i, group: 0, row: i))
            }
            return
        }
        for group in 0..<groups {
            for position in 0..<(rules.isAny ? rules.steps : 1) {
                for index in list(group, position) where entryRange.contains(history.time[source[row[index]]]) {
                    starts.append(Start(index: index, group: group, row: row[index]))
                }
            }
        }
        if groups > 1 || rules.isAny { starts.sort { ($0.row, $0.index) < ($1.row, $1.index) } }
    }

    mutating func keepFirstStart() {
        let first = starts[0].row
        starts.removeAll { $0.row != first }
    }

    private mutating func arrangeAll() throws(MatchError) {
        groups = 1
        begin.removeAll(keepingCapacity: true)
        begin.append(contentsOf: repeatElement(0, count: rules.steps + 1))
        for positions in mask {
            var rest = positions
            while rest != 0 {
                begin[rest.trailingZeroBitCount + 1] += 1
                rest &= rest - 1
            }
        }
        for position in 0..<rules.steps { begin[position + 1] += begin[position] }
        guard begin[rules.steps] <= Limits.userFills else { throw .tooManyEvents(limit: Limits.userFills) }
        cursors.removeAll(keepingCapacity: true)
        cursors.append(contentsOf: begin)
        row.resize(to: begin[rules.steps], 0)
        time.resize(to: begin[rules.steps], 0)
        for i in mask.indices {
            var rest = mask[i]
            while rest != 0 {
                let position = rest.trailingZeroBitCount
                rest &= rest - 1
                row[cursors[position]] = i
                time[cursors[position]] = clock[i]
                cursors[position] += 1
            }
        }
    }

    private mutating func arrangeHeld(_ history: UserHistory, _ budget: inout WorkBudget) throws(MatchError) {
        entries.removeAll(keepingCapacity: true)
        for i in mask.indices {
            var rest = mask[i]
            while rest != 0 {
                let position = rest.trailingZeroBitCount
                rest &= rest - 1
                guard fills(i, position, history) else { continue }
                var values: [3 of Int32] = [0, 0, 0]
                for (h, names) in rules.held.enumerated() { values[h] = history.held[names[position]][source[i]] }
                let pair = UInt64(UInt32(bitPattern: values[0])) << 32 | UInt64(UInt32(bitPattern: values[1]))
                entries.append(Entry(values: pair, third: values[2], position: Int32(position), row: i))
            }
            guard entries.count <= Limits.userFills else { throw .tooManyEvents(limit: Limits.userFills) }
        }
        try entries.sort(&budget) { ($0.values, $0.third, $0.position, $0.row) < ($1.values, $1.third, $1.position, $1.row) }
        groups = 0
        begin.removeAll(keepingCapacity: true)
        row.removeAll(keepingCapacity: true)
        time.removeAll(keepingCapacity: true)
        for (j, entry) in entries.enumerated() {
            if j == 0 || entry.values != entries[j - 1].values || entry.third != entries[j - 1].third {
                endGroup()
                groups += 1
            }
            while begin.count <= (groups - 1) * rules.steps + Int(entry.position) { begin.append(j) }
            row.append(entry.row)
            time.append(clock[entry.row])
        }
        endGroup()
        begin.append(entries.count)
    }

    private mutating func endGroup() {
        while begin.count < groups * rules.steps { begin.append(row.count) }
    }
}

extension Array {
    /// The same storage with another number of elements, whatever they are.
    mutating func resize(to size: Int, _ filler: Element) {
        if count > size { removeLast(count - size) }
        if count < size { append(contentsOf: repeatElement(filler, count: size - count)) }
    }
}
