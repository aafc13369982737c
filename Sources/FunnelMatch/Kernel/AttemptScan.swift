import FunnelModel

/// Finds, for each user of a slice, the attempt that speaks for them and its events.
///
/// For windows measured from step 1, sequential order or a limit of one tick (ties count), where the events of a chain
/// are distinct by themselves. There a step never precedes step 1, so of each attempt A the chain that takes the first
/// event allowed at every step is at once the deepest (it leaves most room) and the one that the rules choose (nearest
/// to A, then in the order of events).
///
/// Level by level: all attempts that reached step k are extended by step k + 1. As A rises so does every event of its
/// chain, so each level is one pass over two ascending lists. An attempt carries a score, its depth above the ticks it
/// left unused, so that the attempt of a user with the greatest score, first of equals, is the one to choose.
package struct AttemptScan: ~Copyable {
    /// The rows of the slice scanned last.
    package private(set) var outcomes: SliceOutcomes
    /// Users with an attempt, by group, over all slices so far.
    package private(set) var entered: [Int]
    /// Of the users left out of the outcomes for having reached only step 1, those with an attempt that can still go
    /// on; by group, over all slices so far.
    package private(set) var shallowOpen: [Int]

    private let rules: KernelRules
    private let groups: AttemptGroups
    private let includeShallow: Bool
    /// Rows need a look at every attempt, not only at those that reached step 2.
    private let looksAtAll: Bool

    private var starts = StartList()
    private var score = Scratch<UInt64>()
    /// Index in step k's list of the event that extended attempt j: element `(k - 1) * attempts + j`.
    private var found = Scratch<UInt32>()
    private var going = GoingAttempts()
    private var next = GoingAttempts()
    private var reachedSecond = Scratch<UInt32>()
    private var rows = RowScratch()

    /// Bits of a score below the depth; a window must fit into them.
    static let tookBits = 56
    static let tookMask: UInt64 = 1 << 56 - 1

    /// Whether attempts are chosen under these rules as this kernel does it.
    package static func takes(_ rules: KernelRules) -> Bool {
        rules.anchor == .firstStep && rules.slack <= 1 && rules.window <= tookMask && (1...64).contains(rules.steps)
    }

    /// Nil where the kernel does not take the rules.
    ///
    /// - Parameter includeShallow: also give rows for users who only reached step 1.
    package init?(_ rules: KernelRules, includeShallow: Bool) {
        guard Self.takes(rules) else { return nil }
        self.rules = rules
        self.includeShallow = includeShallow
        looksAtAll = includeShallow || rules.openFrom != nil || !rules.boundaries.isEmpty
        groups = AttemptGroups(rules.boundaries)
        outcomes = SliceOutcomes(steps: rules.steps)
        entered = Array(repeating: 0, count: rules.boundaries.count + 1)
        shallowOpen = entered
    }

    /// Scans a slice, given one list for each step.
    package mutating func scan(_ lists: [KeyList]) { scan(lists, listOfStep: Array(lists.indices)) }

    /// Scans a slice whose step k has the list `lists[listOfStep[k]]`; steps can share a list in sequential order.
    /// Lists whose keys don't fit the rules' layout give nothing from their step on.
    package mutating func scan(_ lists: [KeyList], listOfStep: [Int]) {
        guard listOfStep.count == rules.steps else { return }
        let first = lists[listOfStep[0]]
        unsafe first.withKeys { keys in
            guard first.count > 0, first.count <= UInt32.max, unsafe rules.admit(keys, count: first.count) else {
                outcomes.resize(to: 0)
                return
            }
            unsafe starts.load(keys, count: first.count, rules: rules, groups: groups)
            let levels = extendAll(lists, listOfStep)
            choose(levels.second)
            emit(columns: levels.depth)
        }
    }

    /// Extends all attempts step by step; returns the greatest depth reached, and where in `reachedSecond` the attempts
    /// that reached step 2 are.
    private mutating func extendAll(_ lists: [KeyList], _ listOfStep: [Int]) -> (depth: Int, second: LaneRanges) {
        let attempts = starts.count
        score.reserve(attempts)
        found.reserve(attempts * (rules.steps - 1))
        reachedSecond.reserve(attempts + 6 * KeyBlock.gap)
        let cuts = unsafe LaneCuts(balancing: starts.keys, count: attempts, timeBits: rules.timeBits)
        var ranges = unsafe LaneRanges(cuts.parts(of: starts.keys, count: attempts))
        var second = LaneRanges()
        for step in 1..<max(1, rules.steps) {
            next.reserve(attempts + 6 * KeyBlock.gap)
            guard extend(&ranges, through: lists[listOfStep[step]], step: step, cuts) else {
                // Deeper levels have written every score already.
                if step == 1 { unsafe score.base.update(repeating: LinkLevel.score(depth: 1), count: attempts) }
                return (step, second)
            }
            if step == 1 { second = ranges }
            if ranges.total == 0 { return (step, second) }
            swap(&going, &next)
        }
        if rules.steps == 1 { unsafe score.base.update(repeating: LinkLevel.score(depth: 1), count: attempts) }
        return (rules.steps, second)
    }

    /// Extends the attempts in `ranges` by one step; false where its list is empty or can't be walked safely.
    private mutating func extend(
        _ ranges: inout LaneRanges, through list: KeyList, step: Int, _ cuts: LaneCuts
    ) -> Bool {
        guard !list.isEmpty, list.count <= UInt32.max else { return false }
        return unsafe list.withKeys { later in
            guard unsafe rules.admit(later, count: list.count) else { return false }
            let level = unsafe LinkLevel(
                latest: step == 1 ? starts.keys : UnsafePointer(going.latest.base),
                base: step == 1 ? starts.keys : UnsafePointer(going.base.base),
                number: UnsafePointer(step == 2 ? reachedSecond.base : going.number.base), later: later,
                outLatest: next.latest.base, outBase: next.base.base,
                outNumber: step == 1 ? reachedSecond.base : next.number.base,
                found: found.base + (step - 1) * starts.count, score: score.base, depth: step, rules: rules)
            let parts = unsafe cuts.parts(of: later, count: list.count)
            ranges = step == 1 ? level.run(ranges, parts, isFirst: true) : level.run(ranges, parts, isFirst: false)
            return true
        }
    }
}

// MARK: - The choice

extension AttemptScan {
    /// Chooses among each user's attempts, into `rows`.
    private mutating func choose(_ second: LaneRanges) {
        rows.reserve(starts.count)
        var choice = Choice(rows: rows, rules: rules)
        let timeBits = UInt64(rules.timeBits)
        if !rules.boundaries.isEmpty {
            var j = 0
            while j < starts.count {
                unsafe choice.consider(j, starts.keys[j], starts.segments[j], score.base[j])
                j &+= 1
            }
        } else if looksAtAll {
            var j = 0
            while j < starts.count {
                let key = unsafe starts.keys[j]
                unsafe choice.consider(j, key, (key &>> timeBits) &<< 32, score.base[j])
                j &+= 1
            }
        } else {
            for part in 0..<4 {
                var i = second.begin[part]
                let end = second.end[part]
                while i < end {
                    let j = unsafe Int(reachedSecond.base[i])
                    let key = unsafe starts.keys[j]
                    unsafe choice.consider(j, key, (key &>> timeBits) &<< 32, score.base[j])
                    i &+= 1
                }
            }
            entered[0] += unsafe KeyBlock.users(starts.keys, count: starts.count, timeBits: rules.timeBits)
        }
        rows.count = choice.row + 1
    }

    /// Turns `rows` into outcomes.
    private mutating func emit(columns: Int) {
        outcomes.resize(to: rows.count)
        var kept = 0
        for row in 0..<rows.count {
            let segment = unsafe rows.segment.base[row]
            let depth = unsafe UInt8(truncatingIfNeeded: rows.best.base[row] >> UInt64(Self.tookBits))
            let open = unsafe UInt8(truncatingIfNeeded: rows.open.base[row] >> UInt64(Self.tookBits))
            let group = UInt32(truncatingIfNeeded: segment)
            if looksAtAll { entered[Int(group)] += 1 }
            if depth == 1, !includeShallow {
                if open > 0, rules.steps > 1 { shallowOpen[Int(group)] += 1 }
                continue
            }
            outcomes.user[kept] = UInt32(truncatingIfNeeded: segment >> 32)
            outcomes.depth[kept] = depth
            outcomes.openDepth[kept] = Int(depth) == rules.steps ? 0 : open
            outcomes.group[kept] = group
            unsafe rows.start.base[kept] = rows.start.base[row]
            kept += 1
        }
        outcomes.resize(to: kept)
        fillChosen(rows: kept, columns: columns)
    }

    private mutating func fillChosen(rows kept: Int, columns: Int) {
        for row in 0..<kept { outcomes.chosen[0][row] = starts.listIndex(unsafe Int(rows.start.base[row])) }
        for k in 1..<max(1, columns) {
            let column = unsafe found.base + (k - 1) * starts.count
            // Steps that the attempt did not reach give numbers without meaning, sooner than a branch.
            for row in 0..<kept { outcomes.chosen[k][row] = unsafe column[Int(rows.start.base[row])] }
        }
    }
}
