import FunnelModel

/// Matches one user of a slice under exclusions and held properties, for windows measured from step 1 and sequential order or a
/// limit of one tick.
///
/// Keys fall into groups of equal held values, and a chain stays within one. For a depth d each event points to the
/// first event of the next step that leads to d. If an excluded event lies between, it does so before any later one too, and
/// then there is none; as the events pointed to rise with those that point, so do the ends of their chains, and no other
/// choice ends sooner. So an attempt comes to d if the chain that it points along ends within its window, and that is the
/// chain which the rules choose. One pass for each depth tried, from the greatest downwards.
struct NarrowedUser: Sendable {
    private let rules: KernelRules
    private let narrowing: Narrowing
    /// By step: exclusions that watch the way from it to the next, as bits.
    private let watching: [UInt64]
    private let dropping: UInt64
    private var budget = WorkBudget(limit: 4_000_000)

    /// By row, in the order in which they were added: step, key, index in the step's list; where properties are held,
    /// the number of the values above the row's number.
    private var added: [(step: Int, key: UInt64, index: UInt32)] = []
    private var byValue: [UInt64] = []
    /// Rows by group, in each by step, in each ascending.
    private var key: [UInt64] = []
    private var index: [UInt32] = []
    private var begin: [Int] = []
    private var groups = 0
    /// By exclusion, keys.
    private var excluded: [[UInt64]]
    private var excludedCount = 0
    private var present: UInt64 = 0

    /// By row: the first excluded event on the way to the next step; the end of the chain to the depth tried, and the
    /// row that follows. `none` is none.
    private var stop: [UInt64] = []
    private var end: [UInt64] = []
    private var next: [Int] = []
    private static let none = UInt64.max
    /// Rows of step 1 in order; those whose depth is not known yet.
    private var starts: [Int] = []
    private var pending: [Int] = []

    /// What became of the user: the indexes of the chosen events in the lists of their steps; empty if left out.
    struct Outcome {
        var chain: [UInt32] = []
        var openDepth = 0
    }

    init(_ rules: KernelRules, _ narrowing: Narrowing) {
        self.rules = rules
        self.narrowing = narrowing
        excluded = Array(repeating: [], count: narrowing.exclusions.count)
        var dropping: UInt64 = 0
        var watching = [UInt64](repeating: 0, count: rules.steps)
        for (e, exclusion) in narrowing.exclusions.enumerated() {
            if exclusion.dropsUser { dropping |= 1 << UInt64(e) }
            for step in exclusion.after..<exclusion.before { watching[step] |= 1 << UInt64(e) }
        }
        self.dropping = dropping
        self.watching = watching
    }

    // MARK: Rows

    mutating func removeAll() {
        added.removeAll(keepingCapacity: true)
        byValue.removeAll(keepingCapacity: true)
        excludedCount = 0
        present = 0
    }

    /// Adds a step's keys; steps come in order.
    /// - Parameter numbers: of the values held, one a key; negative is none.
    mutating func add(_ step: Int, _ list: KeyList, _ range: Range<Int>, _ numbers: ArraySlice<Int32>) {
        for (i, offset) in zip(range, numbers.startIndex...) {
            if narrowing.isHeld {
                guard numbers[offset] >= 0 else { continue }
                byValue.append(UInt64(numbers[offset]) << 32 | UInt64(added.count))
            }
            added.append((step, list[i], UInt32(truncatingIfNeeded: i)))
        }
    }

    /// Adds the keys of an exclusion; exclusions come in order.
    mutating func add(excluded list: KeyList, _ range: Range<Int>) {
        let e = excludedCount
        excludedCount += 1
        excluded[e].removeAll(keepingCapacity: true)
        for i in range { excluded[e].append(list[i]) }
        if !range.isEmpty { present |= 1 << UInt64(e) }
    }

    private func rows(_ group: Int, _ step: Int) -> Range<Int> {
        begin[group * rules.steps + step]..<begin[group * rules.steps + step + 1]
    }

    private mutating func arrange() {
        key.removeAll(keepingCapacity: true)
        index.removeAll(keepingCapacity: true)
        begin.removeAll(keepingCapacity: true)
        groups = 1
        if narrowing.isHeld {
            byValue.sort()
            for (i, entry) in byValue.enumerated() {
                if i > 0, entry >> 32 != byValue[i - 1] >> 32 {
                    beginSteps(through: groups * rules.steps - 1)
                    groups += 1
                }
                let row = added[Int(entry & 0xFFFF_FFFF)]
                beginSteps(through: (groups - 1) * rules.steps + row.step)
                key.append(row.key)
                index.append(row.index)
            }
        } else {
            for row in added {
                beginSteps(through: row.step)
                key.append(row.key)
                index.append(row.index)
            }
        }
        beginSteps(through: groups * rules.steps)
        starts.removeAll(keepingCapacity: true)
        for group in 0..<groups { starts.append(contentsOf: rows(group, 0)) }
        if groups > 1 {
            let index = index
            starts.sort { index[$0] < index[$1] }
        }
        next.resize(to: key.count, -1)
        end.resize(to: key.count, Self.none)
        stop.resize(to: key.count, Self.none)
    }

    private mutating func beginSteps(through last: Int) {
        while begin.count <= last { begin.append(key.count) }
    }

    // MARK: Passes

    /// - Parameter bits: exclusions that count.
    private mutating func setStops(_ bits: UInt64) {
        for row in stop.indices { stop[row] = Self.none }
        if bits & present == 0 { return }
        for group in 0..<groups {
            for step in 0..<(rules.steps - 1) {
                let range = rows(group, step)
                var left = watching[step] & bits & present
                while let first = range.first, left != 0 {
                    let e = left.trailingZeroBitCount
                    left &= left - 1
                    var x = excluded[e].firstIndex(above: key[first])
                    for row in range {
                        while x < excluded[e].count, excluded[e][x] <= key[row] { x += 1 }
                        if x == excluded[e].count { break }
                        stop[row] = min(stop[row], excluded[e][x])
                    }
                }
            }
        }
    }

    /// Finds which events lead to a depth, and by which next ones.
    /// - Parameter lastFrom: earlier events of the deepest step do not count.
    private mutating func lead(to depth: Int, lastFrom: UInt64 = 0) {
        for group in 0..<groups {
            for row in rows(group, depth - 1) {
                end[row] = key[row] >= lastFrom ? key[row] : Self.none
                next[row] = -1
            }
            for step in (0..<(depth - 1)).reversed() {
                let later = rows(group, step + 1)
                var entering = later.upperBound
                var first = -1
                for row in rows(group, step).reversed() {
                    while entering > later.lowerBound, key[entering - 1] &+ rules.slack > key[row] {
                        entering -= 1
                        if end[entering] != Self.none { first = entering }
                    }
                    let leads = first >= 0 && stop[row] >= key[first]
                    end[row] = leads ? end[first] : Self.none
                    next[row] = leads ? first : -1
                }
            }
        }
    }

    /// Whether an attempt comes to the depth of the last pass.
    private func reaches(_ start: Int) -> Bool { end[start] != Self.none && end[start] &- key[start] <= rules.window }

    // MARK: The choice

    /// - Parameter depthMax: the user's depth without these rules.
    mutating func match(depthMax: Int, _ values: inout some HeldValues) throws -> Outcome {
        arrange()
        guard !starts.isEmpty else { return Outcome() }
        var depthMax = depthMax
        if rules.entry == .first {
            starts = [try firstStart(&values)]
            // Without the rules another attempt may have been the first one.
            if narrowing.isHeld { depthMax = rules.steps }
        }
        budget.reset()
        if try isLeftOut(depthMax) { return Outcome() }
        setStops(~0)
        return try choose(depthMax, &values)
    }

    private func firstStart(_ values: inout some HeldValues) throws -> Int {
        var first = starts[0]
        for start in starts.dropFirst() {
            guard groups > 1, key[start] == key[first] else { break }
            if try values.comes(index[start], before: index[first]) { first = start }
        }
        return first
    }

    private mutating func choose(_ depthMax: Int, _ values: inout some HeldValues) throws -> Outcome {
        var outcome = Outcome()
        let mayBeOpen = isUnderWay(starts[starts.count - 1])
        pending.removeAll(keepingCapacity: true)
        pending.append(contentsOf: starts)
        for depth in (1...max(1, depthMax)).reversed() {
            lead(to: depth)
            let isCandidate = outcome.chain.isEmpty
            var best = -1
            var kept = 0
            for i in pending.indices {
                let start = pending[i]
                guard reaches(start) else {
                    pending[kept] = start
                    kept += 1
                    continue
                }
                if isCandidate, try best < 0 || isBetter(start, best, &values) { best = start }
                if mayBeOpen, outcome.openDepth == 0, depth < rules.steps, isOpen(start) { outcome.openDepth = depth }
            }
            pending.removeLast(pending.count - kept)
            var row = best
            while row >= 0 {
                outcome.chain.append(index[row])
                row = next[row]
            }
            if outcome.chain.count == rules.steps || (!outcome.chain.isEmpty && (!mayBeOpen || outcome.openDepth > 0)) { break }
        }
        if outcome.chain.count == rules.steps { outcome.openDepth = 0 }
        return outcome
    }

    /// Of two attempts of one depth, whether a later one, at the earliest at the other's clock value, is the one to take.
    private func isBetter(_ start: Int, _ best: Int, _ values: inout some HeldValues) throws -> Bool {
        if rules.entry == .shortest {
            let (took, bestTook) = (end[start] &- key[start], end[best] &- key[best])
            if took != bestTook { return took < bestTook }
        }
        guard groups > 1, key[start] == key[best] else { return false }
        return try values.comes(index[start], before: index[best])
    }

    private var tickMask: UInt64 { 1 << UInt64(rules.timeBits) - 1 }

    /// Whether an attempt's window has not passed.
    private func isUnderWay(_ start: Int) -> Bool { rules.openFrom.map { key[start] & tickMask >= $0 } ?? false }

    /// Whether an attempt of the depth of the last pass can still go on.
    private func isOpen(_ start: Int) -> Bool {
        guard isUnderWay(start) else { return false }
        var last = start
        while next[last] >= 0 { last = next[last] }
        return stop[last] == Self.none || stop[last] & tickMask >= narrowing.now
    }

    // MARK: drop_user

    /// Unless a clean attempt is as deep as the deepest ignoring these exclusions.
    private mutating func isLeftOut(_ depthMax: Int) throws(MatchError) -> Bool {
        guard present & dropping != 0 else { return false }
        setStops(~dropping)
        var deepest = max(1, depthMax)
        while deepest > 1 {
            lead(to: deepest)
            if starts.contains(where: reaches) { break }
            deepest -= 1
        }
        setStops(~0)
        lead(to: deepest)
        let watching = deepest < rules.steps ? self.watching[deepest - 1] & dropping & present : 0
        if watching == 0 { return !starts.contains(where: reaches) }
        pending.removeAll(keepingCapacity: true)
        for start in starts where reaches(start) { pending.append(start) }
        var filter: UInt64?
        for start in pending {
            // A chain is clean if none comes between its last step and the end of the window: then the last step is not before
            // the latest event up to there.
            let latest = lastExcluded(watching, through: key[start] &+ rules.window)
            if latest != filter {
                if filter != nil { try budget.spend(key.count) }
                filter = latest
                lead(to: deepest, lastFrom: latest)
            }
            if reaches(start) { return false }
        }
        return true
    }

    /// The last event of some exclusions up to a key; 0 if there is none.
    private func lastExcluded(_ bits: UInt64, through limit: UInt64) -> UInt64 {
        var last: UInt64 = 0
        for e in excluded.indices where bits.has(e) {
            let x = excluded[e].firstIndex(above: limit)
            if x > 0 { last = max(last, excluded[e][x - 1]) }
        }
        return last
    }
}

extension [UInt64] {
    /// Index of the first element greater than `bound` in an ascending array; its count if there is none.
    fileprivate func firstIndex(above bound: UInt64) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if self[middle] <= bound { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
