import FunnelModel

/// Matches one user's history exactly (rules: `Protocol/FUNNEL.md`, sections 3-5), for plans that are plain; any other is
/// refused by `MatchError.notPlain`. Reused over users.
///
/// For each attempt (a step-1 event A), bounds are computed as if an event could fill two steps; they are exact unless
/// an event of the user really can, and in flexible order. A search in order of preference then picks the chain: where
/// the bounds are exact it never turns back, elsewhere it remembers states that failed and counts its work.
package struct UserMatcher: Sendable {
    private let plan: FunnelPlan
    private let isPlain: Bool
    private var budget: WorkBudget

    private var clock: [Int64] = []
    private var masks: [UInt64] = []
    /// Rows that can fill each step, in time order, and their clock values.
    private var rows: [[Int]]
    private var times: [[Int64]]
    /// With `previous_step`: how many steps can follow row j of step i, were rows reusable.
    private var following: [[Int]]
    /// Some row can fill two steps and a step may share its predecessor's clock value, so rows must be told apart.
    private var shared = false

    /// - Parameters:
    ///   - workMax: candidate visits one user may cost, before the query fails by name.
    ///   - isCancelled: asked now and then, since one long history may take a while.
    package init(_ plan: FunnelPlan, workMax: Int = Limits.userWork, isCancelled: @escaping @Sendable () -> Bool = { false }) {
        self.plan = plan
        budget = WorkBudget(limit: workMax, isCancelled: isCancelled)
        isPlain = plan.isPlain
        rows = Array(repeating: [], count: plan.steps)
        times = Array(repeating: [], count: plan.steps)
        following = Array(repeating: [], count: plan.steps)
    }

    /// - Parameters:
    ///   - time: microseconds, ascending, ties in the order of section 1.
    ///   - mask: the positions each row can fill, as bits; rows that fill none may be left out.
    package mutating func match(time: [Int64], mask: [UInt64]) throws(MatchError) -> UserOutcome {
        try load(time, mask)
        if rows[0].isEmpty { return UserOutcome() }
        let starts = rows[0].indices.filter { plan.entryRange.contains(time[rows[0][$0]]) }
        if starts.isEmpty { return UserOutcome() }
        if plan.definition.anchor == .previousStep { try fillFollowing() }
        return try outcome(of: starts)
    }

    /// Matches once for each of some adjoining entry ranges, as if each were the plan's own.
    ///
    /// - Parameters:
    ///   - bounds: ascending instants in microseconds; range b is `bounds[b]..<bounds[b + 1]`.
    ///   - body: told the ranges with a step-1 event, ascending, and the outcome of each.
    package mutating func match(
        time: [Int64], mask: [UInt64], bounds: [Int64], body: (Int, UserOutcome) -> Void
    ) throws(MatchError) {
        try load(time, mask)
        if rows[0].isEmpty || bounds.count < 2 { return }
        if plan.definition.anchor == .previousStep { try fillFollowing() }
        var starts: [Int] = []
        var range = -1
        for (start, row) in rows[0].enumerated() {
            let own = bounds.firstIndex(after: time[row]) - 1
            if own != range, !starts.isEmpty {
                body(range, try outcome(of: starts))
                starts.removeAll(keepingCapacity: true)
            }
            range = own
            if (0..<(bounds.count - 1)).contains(range) { starts.append(start) }
        }
        if !starts.isEmpty { body(range, try outcome(of: starts)) }
    }

    /// - Parameter starts: the step-1 events in an entry range, at least one.
    private mutating func outcome(of starts: [Int]) throws(MatchError) -> UserOutcome {
        budget.reset()
        return try choose(among: plan.definition.entry == .first ? Array(starts.prefix(1)) : starts)
    }

    private mutating func load(_ time: [Int64], _ mask: [UInt64]) throws(MatchError) {
        guard isPlain else { throw .notPlain }
        for i in rows.indices {
            rows[i].removeAll(keepingCapacity: true)
            times[i].removeAll(keepingCapacity: true)
        }
        clock.removeAll(keepingCapacity: true)
        masks = mask
        shared = false
        try budget.pass(mask.count)
        var fills = 0
        for (row, positions) in mask.enumerated() {
            let at = plan.ticks(time[row])
            clock.append(at)
            var rest = positions
            if plan.slack > 0, rest & (rest &- 1) != 0 { shared = true }
            while rest != 0 {
                let i = rest.trailingZeroBitCount
                rest &= rest - 1
                rows[i].append(row)
                times[i].append(at)
                fills += 1
            }
            if fills > Limits.userFills { throw .tooManyEvents(limit: Limits.userFills) }
        }
    }

    /// Section 5: among the attempts of greatest depth, by `entry`; and the deepest attempt that is still open.
    private mutating func choose(among starts: [Int]) throws(MatchError) -> UserOutcome {
        var best = UserOutcome()
        var bestTook: Int64 = 0
        let shortest = plan.definition.entry == .shortest
        let mayBeOpen = lastOpenClock(of: starts)
        for start in starts {
            try budget.pass(plan.steps)
            let open = mayBeOpen.map { plan.definition.anchor == .previousStep || times[0][start] >= $0 } ?? false
            // Each step takes an event of its own.
            let reach = min(relaxedDepth(from: start), masks.count)
            let wanted = shortest ? max(best.depth, 1) : best.depth + 1
            guard reach >= wanted || open else { continue }
            let chain = try attempt(from: start, reach: reach, atLeast: open ? 1 : wanted)
            guard !chain.isEmpty else { continue }
            if open, chain.count < plan.steps, isOpen(chain) { best.openDepth = max(best.openDepth, chain.count) }
            let took = max(0, clock[chain[chain.count - 1]] - clock[chain[0]])
            if chain.count > best.depth || (shortest && chain.count == best.depth && took < bestTook) {
                best.depth = chain.count
                best.chain = chain
                bestTook = took
            }
        }
        if best.depth == plan.steps { best.openDepth = 0 }
        return best
    }

    /// The clock value of the base from which an attempt would still be open at `as_of`; nil where none can be.
    private func lastOpenClock(of starts: [Int]) -> Int64? {
        let needed = plan.ticks(plan.asOf) - plan.window
        let newest = plan.definition.anchor == .firstStep ? starts.last.map { times[0][$0] } : clock.last
        guard let newest, newest >= needed else { return nil }
        return needed
    }

    private func isOpen(_ chain: [Int]) -> Bool {
        let base = plan.definition.anchor == .firstStep ? chain[0] : chain[chain.count - 1]
        return plan.ticks(plan.asOf) <= clock[base] + plan.window
    }

    /// The deepest chain of one attempt, chosen by preference; empty where it is shallower than `atLeast`.
    private mutating func attempt(from start: Int, reach: Int, atLeast: Int) throws(MatchError) -> [Int] {
        var depth = reach
        while depth >= max(1, atLeast) {
            let limits = latest(from: start, depth: depth)
            let possible = shared ? try distinctRowsExist(start: start, depth: depth, latest: limits) : true
            if possible {
                var search = Search(depth: depth, start: times[0][start], latest: limits, chain: [rows[0][start]])
                if try extend(&search) { return search.chain }
            }
            if !shared { break }
            depth -= 1
        }
        return []
    }
}

// MARK: - Bounds

extension UserMatcher {
    /// What it takes to list the rows of one step, in steps of the budget.
    private static let stepsOfChoice = 16

    /// Steps that A can reach, were rows reusable: exact unless `shared`.
    private mutating func relaxedDepth(from start: Int) -> Int {
        let a = times[0][start]
        if plan.definition.anchor == .previousStep { return 1 + following[0][start] }
        // The earliest allowed instance leaves most room to what follows, since only A bounds it from above.
        var previous = a
        var depth = 1
        while depth < plan.steps {
            let j = times[depth].firstIndex(after: previous - plan.slack)
            guard j < times[depth].count, times[depth][j] - a <= plan.window else { break }
            previous = times[depth][j]
            depth += 1
        }
        return depth
    }

    /// `first_step`: for each step the latest clock value that leaves the steps up to `depth` possible.
    private func latest(from start: Int, depth: Int) -> [Int64] {
        guard plan.definition.anchor == .firstStep else { return [] }
        let end = times[0][start] + plan.window
        var bound = Array(repeating: end, count: depth)
        var i = depth - 1
        while i > 1 {
            let j = times[i].firstIndex(after: bound[i]) - 1
            // relaxedDepth found a chain, so some row lies within the bound; without one nothing before it fits either.
            bound[i - 1] = j < 0 ? Int64.min : min(end, times[i][j] + plan.slack - 1)
            i -= 1
        }
        return bound
    }

    /// `previous_step`: the next instance lies in (t - slack, t + window], both ends rising with t: a sliding maximum.
    private mutating func fillFollowing() throws(MatchError) {
        following[plan.steps - 1] = Array(repeating: 0, count: rows[plan.steps - 1].count)
        for i in stride(from: plan.steps - 2, through: 0, by: -1) {
            try budget.pass(times[i].count)
            let next = times[i + 1]
            var deepest: [Int] = []
            var queue: [Int] = []
            var head = 0
            var entering = 0
            for t in times[i] {
                while entering < next.count, next[entering] <= t + plan.window {
                    while queue.count > head, following[i + 1][queue[queue.count - 1]] <= following[i + 1][entering] {
                        queue.removeLast()
                    }
                    queue.append(entering)
                    entering += 1
                }
                while head < queue.count, next[queue[head]] <= t - plan.slack { head += 1 }
                deepest.append(head < queue.count ? 1 + following[i + 1][queue[head]] : 0)
            }
            following[i] = deepest
        }
    }

    /// Hall's condition for the first `depth` steps: each can be given a row of its own (Kuhn's augmenting paths).
    /// Without it the search would have to try every permutation to learn the same.
    private mutating func distinctRowsExist(start: Int, depth: Int, latest: [Int64]) throws(MatchError) -> Bool {
        try budget.pass(depth * Self.stepsOfChoice)
        var owner: [Int: Int] = [rows[0][start]: 0]
        var choices: [[Int]] = [[rows[0][start]]]
        let low = times[0][start] - plan.slack * Int64(depth)
        for i in 1..<max(1, depth) {
            let end = latest.isEmpty ? Int64.max : latest[i]
            let first = times[i].firstIndex(after: low)
            let last = times[i].firstIndex(after: end)
            // A step with as many rows as there are steps can always be served, so more of them need no look.
            choices.append(first < last ? Array(rows[i][first..<min(last, first + depth)]) : [])
        }
        var visits = 0
        func place(_ step: Int, _ seen: inout Set<Int>) -> Bool {
            for row in choices[step] where seen.insert(row).inserted {
                visits += 1
                if let holder = owner[row], holder == 0 || !place(holder, &seen) { continue }
                owner[row] = step
                return true
            }
            return false
        }
        for i in 1..<max(1, depth) {
            var seen: Set<Int> = []
            let placed = place(i, &seen)
            // The first visit of a step that finds its row at once is free, as in `extend`.
            try budget.spend(visits - (placed ? 1 : 0))
            visits = 0
            if !placed { return false }
        }
        return true
    }
}

// MARK: - Search

extension UserMatcher {
    private struct Search {
        let depth: Int
        /// A's clock value.
        let start: Int64
        let latest: [Int64]
        var chain: [Int]
        var failed: Set<State> = []
    }

    /// What decides whether the rest of a chain can be filled: the last row, and the used rows that could fill it.
    private struct State: Hashable {
        let previous: Int
        let used: [Int]
        let step: Int
    }

    /// Fills the remaining steps, nearest to A first; false where they can't be filled.
    private mutating func extend(_ search: inout Search) throws(MatchError) -> Bool {
        let i = search.chain.count
        if i == search.depth { return true }
        let previous = clock[search.chain[i - 1]]
        let low = previous - plan.slack
        var high = search.latest.isEmpty ? previous + plan.window : search.latest[i]
        if !search.latest.isEmpty { high = min(high, search.start + plan.window) }
        let state = shared ? failureState(search, step: i) : nil
        if let state, search.failed.contains(state) { return false }
        var order = NearestRows(times[i], times[i].indices, to: search.start, after: low, through: high)
        while let j = order.next(times[i]) {
            let row = rows[i][j]
            let leadsTooFewSteps = search.latest.isEmpty && following[i][j] < search.depth - 1 - i
            if !leadsTooFewSteps, !(shared && search.chain.contains(row)) {
                search.chain.append(row)
                if try extend(&search) { return true }
                search.chain.removeLast()
            }
            // Only what led nowhere is counted, so that a linear mode never runs out of its budget.
            try budget.spend(1)
        }
        if let state { search.failed.insert(state) }
        return false
    }

    private func failureState(_ search: Search, step: Int) -> State {
        let ahead = ~((UInt64(1) << UInt64(step)) - 1)
        let used = search.chain.filter { masks[$0] & ahead != 0 }.sorted()
        return State(previous: search.chain[step - 1], used: used, step: step)
    }
}

extension [Int64] {
    /// Index of the first element greater than `bound` in ascending order; `count` if there is none.
    fileprivate func firstIndex(after bound: Int64) -> Int { firstIndex(after: bound, in: indices) }
}
