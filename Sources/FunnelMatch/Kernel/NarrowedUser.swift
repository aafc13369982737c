import FunnelModel

/// Matches one user of a slice under exclusions and held properties, for windows measured from step 1, and sequential order or
/// a limit of one tick.
///
/// Keys are in groups of equal held values, and a chain stays within one group. For a depth d, each event points to the first
/// event of the next step that leads to d. If an excluded event comes between the two, it also comes before any later event of
/// the next step, so there is no pointer. Later events point to later events or the same, so the ends of their chains ascend
/// too, and no other choice ends sooner. So an attempt reaches d if the chain along its pointers ends within its window, and
/// that is the chain that the rules choose. There is one pass for each depth tried, from the max downwards.
struct NarrowedUser: Sendable {
    private let rules: KernelRules
    private let narrowing: Narrowing
    /// By step: exclusions that apply between it and the next step.
    private let watching: [ExclusionSet]
    /// Exclusions with `drop_user`.
    private let dropping: ExclusionSet
    private var budget: WorkBudget

    var rows: NarrowedRows
    /// By row: key of the first excluded event after it that applies before the next step; `none` if there is none.
    private var stop: [UInt64] = []
    /// By row: key of the last event of its chain to the depth tried; `none` if it does not lead there.
    private var end: [UInt64] = []
    /// By row: the next row of that chain; -1 if there is none.
    private var next: [Int] = []
    private static let none = UInt64.max
    /// Rows of step 1 that may start an attempt, in order.
    private var starts: [Int] = []
    /// Those of them whose depth is not known yet.
    private var pending: [Int] = []

    /// The outcome of the user: the indexes of the chosen events in the lists of their steps; empty if the user is left out.
    struct Outcome {
        var chain: [UInt32] = []
        var openDepth = 0
    }

    init(_ rules: KernelRules, _ narrowing: Narrowing, isCancelled: @escaping @Sendable () -> Bool) {
        self.rules = rules
        self.narrowing = narrowing
        budget = WorkBudget(limit: Limits.userWork, isCancelled: isCancelled)
        rows = NarrowedRows(steps: rules.steps, exclusions: narrowing.exclusions.count, isHeld: narrowing.isHeld)
        var dropping = ExclusionSet()
        var watching = [ExclusionSet](repeating: ExclusionSet(), count: rules.steps)
        for (e, exclusion) in narrowing.exclusions.enumerated() {
            if exclusion.dropsUser { dropping.insert(e) }
            for step in exclusion.after..<exclusion.before { watching[step].insert(e) }
        }
        self.dropping = dropping
        self.watching = watching
    }

    private mutating func findStarts(_ ticks: Range<UInt64>) {
        starts.removeAll(keepingCapacity: true)
        for group in 0..<rows.groups {
            for row in rows[group, 0] where ticks.contains(rows.key[row] & tickMask) { starts.append(row) }
        }
        if rows.groups > 1 {
            let index = rows.index
            starts.sort { index[$0] < index[$1] }
        }
        next.resize(to: rows.key.count, -1)
        end.resize(to: rows.key.count, Self.none)
        stop.resize(to: rows.key.count, Self.none)
    }

    // MARK: Passes

    /// Fills `stop`.
    /// - Parameter bits: exclusions that count.
    private mutating func setStops(_ exclusions: ExclusionSet) {
        for row in stop.indices { stop[row] = Self.none }
        if (exclusions & rows.present).isEmpty { return }
        for group in 0..<rows.groups {
            for step in 0..<(rules.steps - 1) {
                let range = rows[group, step]
                guard let first = range.first else { continue }
                for e in watching[step] & exclusions & rows.present {
                    var x = rows.excluded[e].firstIndex(after: rows.key[first], in: rows.excluded[e].indices)
                    for row in range {
                        while x < rows.excluded[e].count, rows.excluded[e][x] <= rows.key[row] { x += 1 }
                        if x == rows.excluded[e].count { break }
                        stop[row] = min(stop[row], rows.excluded[e][x])
                    }
                }
            }
        }
    }

    /// Finds which events lead to a depth, and by which next events: fills `end` and `next`.
    /// - Parameter lastFrom: events of the deepest step with a smaller key do not count.
    private mutating func lead(to depth: Int, lastFrom: UInt64 = 0) throws(MatchError) {
        try budget.pass(rows.key.count)
        for group in 0..<rows.groups {
            for row in rows[group, depth - 1] {
                end[row] = rows.key[row] >= lastFrom ? rows.key[row] : Self.none
                next[row] = -1
            }
            for step in (0..<(depth - 1)).reversed() {
                let later = rows[group, step + 1]
                var entering = later.upperBound
                var first = -1
                for row in rows[group, step].reversed() {
                    while entering > later.lowerBound, rows.key[entering - 1] &+ rules.slack > rows.key[row] {
                        entering -= 1
                        if end[entering] != Self.none { first = entering }
                    }
                    let leads = first >= 0 && stop[row] >= rows.key[first]
                    end[row] = leads ? end[first] : Self.none
                    next[row] = leads ? first : -1
                }
            }
        }
    }

    /// Whether an attempt reaches the depth of the last pass.
    private func reaches(_ start: Int) -> Bool { end[start] != Self.none && end[start] &- rows.key[start] <= rules.window }

    // MARK: The choice

    /// Matches the user whose keys are in `rows`.
    /// - Parameters:
    ///   - depthMax: the user's depth without these rules.
    ///   - ticks: ticks of the step-1 events that may start an attempt.
    mutating func match(depthMax: Int, starting ticks: Range<UInt64>) throws(MatchError) -> Outcome {
        rows.arrange()
        findStarts(ticks)
        guard !starts.isEmpty else { return Outcome() }
        var depthMax = depthMax
        if rules.entry == .first {
            starts.removeLast(starts.count - 1)
            // Without held properties another attempt may have been the first.
            if narrowing.isHeld { depthMax = rules.steps }
        }
        budget.reset()
        if try isLeftOut(depthMax) { return Outcome() }
        setStops(.all)
        return try choose(depthMax)
    }

    private mutating func choose(_ depthMax: Int) throws(MatchError) -> Outcome {
        var outcome = Outcome()
        let mayBeOpen = isUnderWay(starts[starts.count - 1])
        pending.removeAll(keepingCapacity: true)
        pending.append(contentsOf: starts)
        for depth in (1...max(1, depthMax)).reversed() {
            try lead(to: depth)
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
                if isCandidate, best < 0 || isBetter(start, best) { best = start }
                if mayBeOpen, outcome.openDepth == 0, depth < rules.steps, isOpen(start) { outcome.openDepth = depth }
            }
            pending.removeLast(pending.count - kept)
            var row = best
            while row >= 0 {
                outcome.chain.append(rows.index[row])
                row = next[row]
            }
            if outcome.chain.count == rules.steps || (!outcome.chain.isEmpty && (!mayBeOpen || outcome.openDepth > 0)) { break }
        }
        if outcome.chain.count == rules.steps { outcome.openDepth = 0 }
        return outcome
    }

    /// Whether a later attempt is better than an earlier one of the same depth.
    private func isBetter(_ start: Int, _ best: Int) -> Bool {
        rules.entry == .shortest && end[start] &- rows.key[start] < end[best] &- rows.key[best]
    }

    private var tickMask: UInt64 { 1 << UInt64(rules.timeBits) - 1 }

    /// Whether the window of an attempt is still open at `as_of`.
    private func isUnderWay(_ start: Int) -> Bool { rules.openFrom.map { rows.key[start] & tickMask >= $0 } ?? false }

    /// Whether an attempt of the depth of the last pass is open.
    private func isOpen(_ start: Int) -> Bool {
        guard isUnderWay(start) else { return false }
        var last = start
        while next[last] >= 0 { last = next[last] }
        return stop[last] == Self.none || stop[last] & tickMask >= narrowing.now
    }

    // MARK: drop_user

    /// Whether the user is left out: no clean chain is as deep as the deepest one without the exclusions with `drop_user`.
    private mutating func isLeftOut(_ depthMax: Int) throws(MatchError) -> Bool {
        guard !(rows.present & dropping).isEmpty else { return false }
        setStops(.all - dropping)
        var deepest = max(1, depthMax)
        while deepest > 1 {
            try lead(to: deepest)
            if starts.contains(where: reaches) { break }
            deepest -= 1
        }
        setStops(.all)
        try lead(to: deepest)
        let watching = deepest < rules.steps ? self.watching[deepest - 1] & dropping & rows.present : ExclusionSet()
        if watching.isEmpty { return !starts.contains(where: reaches) }
        pending.removeAll(keepingCapacity: true)
        for start in starts where reaches(start) { pending.append(start) }
        var filter: UInt64?
        for start in pending {
            // A chain is clean if none of these events is between its last step and the end of the window. So its last step is
            // not before the latest such event up to the end.
            let latest = lastExcluded(watching, through: rows.key[start] &+ rules.window)
            if latest != filter {
                if filter != nil { try budget.spend(rows.key.count) }
                filter = latest
                try lead(to: deepest, lastFrom: latest)
            }
            if reaches(start) { return false }
        }
        return true
    }

    /// The last key of some exclusions that is at most `limit`; 0 if there is none.
    private func lastExcluded(_ exclusions: ExclusionSet, through limit: UInt64) -> UInt64 {
        var last: UInt64 = 0
        for e in rows.excluded.indices where exclusions.contains(e) {
            let x = rows.excluded[e].firstIndex(after: limit, in: rows.excluded[e].indices)
            if x > 0 { last = max(last, rows.excluded[e][x - 1]) }
        }
        return last
    }
}
