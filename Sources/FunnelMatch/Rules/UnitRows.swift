import FunnelModel

/// The rows of one unit: a user, or one session or value of a user. All times are in ticks.
struct UnitRows: Sendable {
    private let plan: FunnelPlan
    let rules: ChainRules

    /// By row: index in the history.
    private(set) var source: [Int] = []
    /// By row: clock value.
    private(set) var clock: [Int64] = []
    /// By row: positions that it can fill.
    private(set) var mask: [StepSet] = []
    /// Clock values of the excluded events, ascending.
    private(set) var excludedClock: [Int64] = []
    /// The exclusions that each of them matches.
    private(set) var excludedBits: [ExclusionSet] = []
    /// All exclusions that some row matches.
    private(set) var excluded = ExclusionSet()
    /// Upper bound of the depth, from one pass over the rows.
    private(set) var depthMax = 0

    /// The lists: rows that can fill a position, by group of equal held values, then position, then time.
    private(set) var row: [Int] = []
    /// Clock values of the rows in the lists.
    private(set) var time: [Int64] = []
    /// `begin[g * steps + p]`: index of the first entry of group g and position p.
    private(set) var begin: [Int] = [0]
    private(set) var groups = 0
    /// Whether some row can fill two positions.
    private(set) var shares = false
    private var entries: [Entry] = []
    private var cursors: [Int] = []

    /// The events that may start an attempt, in order of time. In any order there may be several of one row.
    private(set) var starts: [Start] = []

    struct Start {
        /// Its entry in the lists; meaningless in any order.
        let index: Int
        let group: Int
        let row: Int
    }

    /// A row at a position, with the codes of its held values there.
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
        excluded = ExclusionSet()
        shares = false
        var reached = StepSet()
        // Positions that the next row can reach.
        var ahead = rules.slack == 0 && !rules.isAny ? StepSet(only: 0) : .all
        for i in chosen {
            let positions = history.mask[i]
            let tick = plan.ticks(history.time[i])
            source.append(i)
            clock.append(tick)
            mask.append(positions)
            if positions.hasSeveral { shares = true }
            let new = positions & ahead - reached
            if !new.isEmpty {
                reached |= new
                ahead |= new.successors
                while true {
                    let skipped = (ahead & rules.optional).successors - ahead
                    if skipped.isEmpty { break }
                    ahead |= skipped
                }
            }
            if !rules.excluding.isEmpty, !history.excluded[i].isEmpty {
                excludedClock.append(tick)
                excludedBits.append(history.excluded[i])
                excluded |= history.excluded[i]
            }
        }
        depthMax = rules.isAny ? reached.count : 0
        if rules.isAny { return }
        while depthMax < rules.steps, reached.contains(depthMax) || rules.optional.contains(depthMax) { depthMax += 1 }
        // Each step done takes an event of its own.
        depthMax = min(depthMax, mask.count + rules.optional.count)
        while depthMax > 0, !reached.contains(depthMax - 1) { depthMax -= 1 }
    }

    /// Whether the row can fill the position, and has a value of every held property.
    func fills(_ i: Int, _ position: Int, _ history: UserHistory) -> Bool {
        guard mask[i].contains(position) else { return false }
        for names in rules.held where history.held[names[position]][source[i]] < 0 { return false }
        return true
    }

    /// Fills the lists by group and position, and the starts in a range of microseconds.
    /// - Throws: `MatchError.tooManyEvents` if they need too much memory; `.cancelled`.
    mutating func arrange(_ history: UserHistory, entryRange: Range<Int64>, _ budget: inout WorkBudget) throws(MatchError) {
        try budget.pass(mask.count)
        try rules.held.isEmpty ? arrangeAll() : arrangeHeld(history, &budget)
        starts.removeAll(keepingCapacity: true)
        if rules.isAny, rules.held.isEmpty {
            for i in mask.indices where !mask[i].isEmpty && entryRange.contains(history.time[source[i]]) {
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
        if groups > 1 || rules.isAny { try starts.sort(&budget) { ($0.row, $0.index) < ($1.row, $1.index) } }
    }

    /// Chooses the starts in a range of microseconds.
    /// - Parameters:
    ///   - all: the starts that `arrange` found.
    ///   - next: the first of them that is not before an earlier range; it moves to the first after this one.
    mutating func selectStarts(_ history: UserHistory, in range: Range<Int64>, of all: [Start], from next: inout Int) {
        starts.removeAll(keepingCapacity: true)
        while next < all.count {
            let time = history.time[source[all[next].row]]
            if time >= range.upperBound { break }
            if time >= range.lowerBound { starts.append(all[next]) }
            next += 1
        }
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
            for position in positions { begin[position + 1] += 1 }
        }
        for position in 0..<rules.steps { begin[position + 1] += begin[position] }
        guard begin[rules.steps] <= Limits.userFills else { throw .tooManyEvents(limit: Limits.userFills) }
        cursors.removeAll(keepingCapacity: true)
        cursors.append(contentsOf: begin)
        row.resize(to: begin[rules.steps], 0)
        time.resize(to: begin[rules.steps], 0)
        for i in mask.indices {
            for position in mask[i] {
                row[cursors[position]] = i
                time[cursors[position]] = clock[i]
                cursors[position] += 1
            }
        }
    }

    private mutating func arrangeHeld(_ history: UserHistory, _ budget: inout WorkBudget) throws(MatchError) {
        entries.removeAll(keepingCapacity: true)
        for i in mask.indices {
            try budget.pass(1)
            for position in mask[i] {
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
    /// Changes the number of elements, whose values are undefined then; keeps the memory.
    mutating func resize(to size: Int, _ filler: Element) {
        if count > size { removeLast(count - size) }
        if count < size { append(contentsOf: repeatElement(filler, count: size - count)) }
    }
}
