import EventStorage
import FunnelMatch
import FunnelModel

extension ShardQuery {
    /// Users grouped by the value of a property of their chosen attempt, or of `user.<name>` (`FUNNEL.md` section 6,
    /// "Breakdown").
    /// - Parameter times: whether step times of the whole are collected too.
    package func breakdown(_ breakdown: Breakdown, times: Bool) -> BreakdownScan { BreakdownScan(self, breakdown, times: times) }
}

/// A running breakdown. Threads call `run` concurrently; their tallies are merged.
package struct BreakdownScan: Sendable {
    let query: ShardQuery
    let breakdown: Breakdown
    private let times: Bool
    let kernel: KernelPlan?
    let queue: SliceQueue
    /// Steps whose events may give the value, 0-based, in the order in which they are tried.
    let steps: [Int]

    init(_ query: ShardQuery, _ breakdown: Breakdown, times: Bool) {
        self.query = query
        self.times = times
        self.breakdown = breakdown
        switch MatchStrategy.choose(for: query, countsOnly: false) {
        case .attempts(let kernel), .narrowed(let kernel): self.kernel = kernel
        case .counter, .general: kernel = nil
        }
        queue = SliceQueue(query, size: kernel?.slicePlaces ?? GeneralScan.slicePlaces)
        switch breakdown.touch {
        case .first: steps = Array(0..<query.plan.steps)
        case .last: steps = (0..<query.plan.steps).reversed()
        case .step(let number): steps = number <= query.plan.steps ? [number - 1] : []
        }
    }

    /// Number of slices; more threads than that have no work.
    package var slices: Int { queue.count }

    /// Processes slices until none is left.
    /// - Parameter isCancelled: called once a slice, and within long histories.
    /// - Returns: tallies of all users, and of the users by value.
    /// - Throws: `TooManyValues`, `MatchError`, `StoreError`.
    package func run(isCancelled: () -> Bool) throws -> (whole: FunnelTally, groups: GroupTally) {
        if let property = breakdown.property.userPropertyName {
            // A user property has one value, whichever step gives it.
            var values = TalliedUserValues(query, property)
            return try run(by: &values, isCancelled)
        }
        var (whole, tally) = tallies
        if let kernel {
            try runAttempts(kernel, isCancelled, &whole, &tally)
        } else {
            try runGeneral(isCancelled, &whole, &tally)
        }
        return (whole, tally)
    }

    private var tallies: (whole: FunnelTally, groups: GroupTally) {
        (FunnelTally(query.plan, times: times, unit: kernel?.scale ?? 1), GroupTally(steps: query.plan.steps))
    }

    /// `run` with one value a user, from `values`.
    func run(by values: inout some ValuesOfUsers, _ isCancelled: () -> Bool) throws -> (whole: FunnelTally, groups: GroupTally) {
        var (whole, tally) = tallies
        if let kernel {
            guard let attempts = NarrowedReader(kernel) else { return (whole, tally) }
            try queue.each(isCancelled) { slice in
                try attempts.load(slice)
                try values.load(slice)
                tally.add(codes: try attempts.outcomes.user.map { try values.code(Int($0), &tally) }, attempts.outcomes)
                attempts.add(to: &whole)
            }
            return (whole, tally)
        }
        var first = 0
        try GeneralScan(query, looksAtRows: false).run(
            queue, isCancelled,
            begin: { slice in
                first = slice.lowerBound
                try values.load(slice)
            },
            { history, outcome in
                whole.add(outcome, time: history.events.time)
                tally.add(code: try values.code(history.place - first, &tally), depth: outcome.depth, skipped: outcome.skipped)
            })
        return (whole, tally)
    }

    private func runGeneral(_ isCancelled: () -> Bool, _ whole: inout FunnelTally, _ tally: inout GroupTally) throws {
        var values = PropertyCodes(query.view, breakdown.property)
        // The chosen rows of many users are looked up together, since those of one user are in distant pages.
        var chosen: [Chosen] = []
        try GeneralScan(query).run(queue, isCancelled) { history, outcome in
            whole.add(outcome, time: history.events.time)
            chosen.append(Chosen(outcome, history.row, steps: query.plan.steps))
            if chosen.count < Self.chosenAtOnce { return }
            try add(chosen, &values, &tally)
            chosen.removeAll(keepingCapacity: true)
        }
        try add(chosen, &values, &tally)
    }

    private static let chosenAtOnce = 4_096

    private struct Chosen {
        let depth: Int
        let skipped: StepSet
        /// By step; nil if it was not done.
        let rows: [RowRef?]

        init(_ outcome: UserOutcome, _ row: [RowRef], steps: Int) {
            depth = outcome.depth
            skipped = outcome.skipped
            guard !outcome.positions.isEmpty else {
                rows = outcome.chain.map { $0 < 0 ? nil : row[$0] }
                return
            }
            var rows = [RowRef?](repeating: nil, count: steps)
            for (position, i) in zip(outcome.positions, outcome.chain) { rows[position] = row[i] }
            self.rows = rows
        }
    }

    private func add(_ chosen: [Chosen], _ values: inout PropertyCodes, _ tally: inout GroupTally) throws {
        var codes = [Int32](repeating: PropertyCodes.none, count: chosen.count)
        for step in steps {
            var units: [Int] = []
            var refs: [RowRef] = []
            for (unit, attempt) in chosen.enumerated() where codes[unit] == PropertyCodes.none && step < attempt.rows.count {
                guard let ref = attempt.rows[step] else { continue }
                units.append(unit)
                refs.append(ref)
            }
            let found = try values.codes(of: refs) { try tally.code(of: $0) }
            for (unit, code) in zip(units, found) { codes[unit] = code }
        }
        for (attempt, code) in zip(chosen, codes) { tally.add(code: code, depth: attempt.depth, skipped: attempt.skipped) }
    }

    private func runAttempts(
        _ kernel: KernelPlan, _ isCancelled: () -> Bool, _ whole: inout FunnelTally, _ tally: inout GroupTally
    ) throws {
        // Nearly every user needs the rows of the step that is tried first, and with `last` those of step 1 too.
        let eager = breakdown.touch == .last ? steps : Array(steps.prefix(1))
        // Keys read under conditions contain duplicates that rows do not, so an index into them would be of another row.
        let filtered = steps.filter { !kernel.lists[kernel.listOfStep[$0]].conditions.isEmpty }
        guard let attempts = NarrowedReader(kernel, rowsOfLists: Set((eager + filtered).map { kernel.listOfStep[$0] })) else { return }
        var values = ChosenValues(kernel, attempts.reader, PropertyCodes(query.view, breakdown.property))
        try queue.each(isCancelled) { slice in
            try attempts.load(slice)
            tally.add(codes: try values.codes(attempts.outcomes, steps, &tally), attempts.outcomes)
            attempts.add(to: &whole)
        }
    }
}
