import FunnelMatch
import FunnelModel

/// A second opinion on long histories, which `ReferenceMatcher` could not finish: matches one user's history exactly by the
/// rules of `Protocol/FUNNEL.md` sections 3 to 5, for plans with plain chains (`FunnelPlan.isPlain`). It shares no code with
/// the product's matchers.
///
/// For each attempt (a step-1 event A), bounds are computed as if an event could fill two steps. They are exact unless an event
/// of the user can, and in flexible order. A search in order of preference then picks the chain. Where the bounds are exact it
/// never backtracks; elsewhere it remembers states that failed and counts its work.
package struct PlainMatcher: Sendable {
    private let plan: FunnelPlan
    private let workMax: Int
    private var work = 0

    private var clock: [Int64] = []
    private var masks: [StepSet] = []
    /// Rows that can fill each step, in time order, and their clock values.
    private var rows: [[Int]]
    private var times: [[Int64]]
    /// With `previous_step`: how many steps can follow row j of step i, were rows reusable.
    private var following: [[Int]]
    /// Some row can fill two steps and a step may share its predecessor's clock value, so rows must be told apart.
    private var shared = false

    /// - Parameter workMax: candidate visits one user may cost; more is `MatchError.workBudget`.
    package init(_ plan: FunnelPlan, workMax: Int = Limits.userWork) {
        self.plan = plan
        precondition(plan.isPlain, "the plan has rules that this matcher does not know")
        self.workMax = workMax
        rows = Array(repeating: [], count: plan.steps)
        times = Array(repeating: [], count: plan.steps)
        following = Array(repeating: [], count: plan.steps)
    }

    /// - Parameters:
    ///   - time: microseconds, ascending, ties in the order of section 1.
    ///   - mask: the positions each row can fill, as bits; rows that fill none may be left out.
    package mutating func match(time: [Int64], mask: [StepSet]) throws(MatchError) -> UserOutcome {
        load(time, mask)
        if rows[0].isEmpty { return UserOutcome() }
        let starts = rows[0].indices.filter { plan.entryRange.contains(time[rows[0][$0]]) }
        if starts.isEmpty { return UserOutcome() }
        if plan.definition.anchor == .previousStep { fillFollowing() }
        return try outcome(of: starts)
    }

    /// - Parameter starts: the step-1 events in an entry range, at least one.
    private mutating func outcome(of starts: [Int]) throws(MatchError) -> UserOutcome {
        work = 0
        return try choose(among: plan.definition.entry == .first ? Array(starts.prefix(1)) : starts)
    }

    private mutating func load(_ time: [Int64], _ mask: [StepSet]) {
        for i in rows.indices {
            rows[i].removeAll(keepingCapacity: true)
            times[i].removeAll(keepingCapacity: true)
        }
        clock.removeAll(keepingCapacity: true)
        masks = mask
        shared = false
        for (row, positions) in mask.enumerated() {
            let at = plan.ticks(time[row])
            clock.append(at)
            if plan.slack.count > 0, positions.hasSeveral { shared = true }
            for i in positions {
                rows[i].append(row)
                times[i].append(at)
            }
        }
    }

    /// Section 5: among the attempts of greatest depth, by `entry`; and the deepest attempt that is still open.
    private mutating func choose(among starts: [Int]) throws(MatchError) -> UserOutcome {
        var best = UserOutcome()
        var bestTook: Int64 = 0
        let shortest = plan.definition.entry == .shortest
        let mayBeOpen = lastOpenClock(of: starts)
        for start in starts {
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
        let needed = plan.ticks(plan.asOf) - plan.window.count
        let newest = plan.definition.anchor == .firstStep ? starts.last.map { times[0][$0] } : clock.last
        guard let newest, newest >= needed else { return nil }
        return needed
    }

    private func isOpen(_ chain: [Int]) -> Bool {
        let base = plan.definition.anchor == .firstStep ? chain[0] : chain[chain.count - 1]
        return plan.ticks(plan.asOf) <= clock[base] + plan.window.count
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

extension PlainMatcher {
    /// Steps that A can reach, were rows reusable: exact unless `shared`.
    private mutating func relaxedDepth(from start: Int) -> Int {
        let a = times[0][start]
        if plan.definition.anchor == .previousStep { return 1 + following[0][start] }
        // The earliest allowed instance leaves most room to what follows, since only A bounds it from above.
        var previous = a
        var depth = 1
        while depth < plan.steps {
            let j = times[depth].firstIndex(after: previous - plan.slack.count)
            guard j < times[depth].count, times[depth][j] - a <= plan.window.count else { break }
            previous = times[depth][j]
            depth += 1
        }
        return depth
    }

    /// `first_step`: for each step the latest clock value that leaves the steps up to `depth` possible.
    private func latest(from start: Int, depth: Int) -> [Int64] {
        guard plan.definition.anchor == .firstStep else { return [] }
        let end = times[0][start] + plan.window.count
        var bound = Array(repeating: end, count: depth)
        var i = depth - 1
        while i > 1 {
            let j = times[i].firstIndex(after: bound[i]) - 1
            // relaxedDepth found a chain, so some row lies within the bound; without one nothing before it fits either.
            bound[i - 1] = j < 0 ? Int64.min : min(end, times[i][j] + plan.slack.count - 1)
            i -= 1
        }
        return bound
    }

    /// `previous_step`: the next instance lies in (t - slack, t + window], both ends rising with t: a sliding maximum.
    private mutating func fillFollowing() {
        following[plan.steps - 1] = Array(repeating: 0, count: rows[plan.steps - 1].count)
        for i in stride(from: plan.steps - 2, through: 0, by: -1) {
            let next = times[i + 1]
            var deepest: [Int] = []
            var queue: [Int] = []
            var head = 0
            var entering = 0
            for t in times[i] {
                while entering < next.count, next[entering] <= t + plan.window.count {
                    while queue.count > head, following[i + 1][queue[queue.count - 1]] <= following[i + 1][entering] {
                        queue.removeLast()
                    }
                    queue.append(entering)
                    entering += 1
                }
                while head < queue.count, next[queue[head]] <= t - plan.slack.count { head += 1 }
                deepest.append(head < queue.count ? 1 + following[i + 1][queue[head]] : 0)
            }
            following[i] = deepest
        }
    }

    /// Hall's condition for the first `depth` steps: each can be given a row of its own (Kuhn's augmenting paths).
    /// Without it the search would have to try every permutation to learn the same.
    private mutating func distinctRowsExist(start: Int, depth: Int, latest: [Int64]) throws(MatchError) -> Bool {
        var owner: [Int: Int] = [rows[0][start]: 0]
        var choices: [[Int]] = [[rows[0][start]]]
        let low = times[0][start] - plan.slack.count * Int64(depth)
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
            try spend(visits - (placed ? 1 : 0))
            visits = 0
            if !placed { return false }
        }
        return true
    }
}

// MARK: - Search

extension PlainMatcher {
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
        let low = previous - plan.slack.count
        var high = search.latest.isEmpty ? previous + plan.window.count : search.latest[i]
        if !search.latest.isEmpty { high = min(high, search.start + plan.window.count) }
        let state = shared ? failureState(search, step: i) : nil
        if let state, search.failed.contains(state) { return false }
        let near = times[i].firstIndex(after: low)..<max(times[i].firstIndex(after: low), times[i].firstIndex(after: high))
        for j in near.sorted(by: { nearness($0, times[i][$0], search.start) < nearness($1, times[i][$1], search.start) }) {
            let row = rows[i][j]
            let leadsTooFewSteps = search.latest.isEmpty && following[i][j] < search.depth - 1 - i
            if !leadsTooFewSteps, !(shared && search.chain.contains(row)) {
                search.chain.append(row)
                if try extend(&search) { return true }
                search.chain.removeLast()
            }
            // Only what led nowhere is counted, so that a linear mode never fails for work.
            try spend(1)
        }
        if let state { search.failed.insert(state) }
        return false
    }

    /// Nearest to A first; of two as near, the one that is not before A; of one time, the first row.
    private func nearness(_ index: Int, _ time: Int64, _ a: Int64) -> (Int64, Int, Int) { (abs(time - a), time < a ? 1 : 0, index) }

    private mutating func spend(_ visits: Int) throws(MatchError) {
        work += visits
        if work > workMax { throw .workBudget(limit: workMax) }
    }

    private func failureState(_ search: Search, step: Int) -> State {
        let used = search.chain.filter { !(masks[$0] - .first(step)).isEmpty }.sorted()
        return State(previous: search.chain[step - 1], used: used, step: step)
    }
}

extension [Int64] {
    /// Index of the first element greater than `bound` in ascending order; `count` if there is none.
    fileprivate func firstIndex(after bound: Int64) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if self[middle] <= bound { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
