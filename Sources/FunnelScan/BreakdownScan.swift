import FunnelMatch
import FunnelModel
import FunnelStorage

extension FunnelScan {
    /// The users by the value of a property of their chosen attempt.
    package func breakdown(_ breakdown: Breakdown) -> BreakdownScan { BreakdownScan(self, breakdown) }
}

/// A breakdown of a snapshot's users under way; `run` may be called on several threads at once, and their tallies added
/// up.
package struct BreakdownScan: Sendable {
    private let scan: FunnelScan
    private let breakdown: Breakdown
    private let kernel: KernelPlan?
    private let queue: SliceQueue
    /// Steps whose events may give the value, 0-based, in the order in which they are asked.
    private let steps: [Int]

    init(_ scan: FunnelScan, _ breakdown: Breakdown) {
        self.scan = scan
        self.breakdown = breakdown
        if case .attempts(let kernel) = Way.choose(for: scan, countsOnly: false) { self.kernel = kernel } else { kernel = nil }
        queue = SliceQueue(scan.places, size: kernel?.slicePlaces ?? GeneralScan.slicePlaces)
        switch breakdown.touch {
        case .first: steps = Array(0..<scan.plan.steps)
        case .last: steps = (0..<scan.plan.steps).reversed()
        case .step(let number): steps = number <= scan.plan.steps ? [number - 1] : []
        }
    }

    /// Slices; more threads than these have nothing to do.
    package var slices: Int { queue.count }

    /// Takes slices until there are none left.
    /// - Parameter isCancelled: asked once a slice, and within long histories.
    /// - Throws: `TooManyValues`, `MatchError`, `StoreError`.
    package func run(isCancelled: () -> Bool) throws -> GroupTally {
        var tally = GroupTally(steps: scan.plan.steps)
        if let kernel {
            try runAttempts(kernel, isCancelled, &tally)
        } else {
            try runGeneral(isCancelled, &tally)
        }
        return tally
    }

    private func runGeneral(_ isCancelled: () -> Bool, _ tally: inout GroupTally) throws {
        var matcher = UserMatcher(scan.plan)
        try GeneralScan(scan).each(queue, isCancelled) { history, user in
            let outcome = try matcher.match(time: history.time, mask: history.mask, isCancelled: isCancelled)
            if outcome.depth == 0 { return }
            var value: PropertyValue?
            for step in steps where step < outcome.depth && value == nil {
                value = try user.property(history.row[outcome.chain[step]], breakdown.property)
            }
            try tally.add(value, depth: outcome.depth)
        }
    }

    private func runAttempts(_ kernel: KernelPlan, _ isCancelled: () -> Bool, _ tally: inout GroupTally) throws {
        var rules = kernel.rules
        // Who is still under way makes no difference here.
        rules.openFrom = nil
        guard var attempts = AttemptScan(rules, includeShallow: true) else { return }
        let rows = KernelRows(kernel, rowsOf: Set(steps.map { kernel.listOfStep[$0] }))
        while let slice = queue.next() {
            if isCancelled() { throw MatchError.cancelled }
            try rows.load(slice)
            attempts.scan(rows.lists, listOfStep: kernel.listOfStep)
            let values = try values(attempts.outcomes, rows, kernel)
            for i in 0..<attempts.outcomes.count { try tally.add(values[i], depth: Int(attempts.outcomes.depth[i])) }
        }
    }

    /// The value of each user of a slice. Step by step, so that neighbouring rows of one step are read together.
    private func values(_ outcomes: borrowing SliceOutcomes, _ rows: KernelRows, _ kernel: KernelPlan) throws -> [PropertyValue?] {
        var values = [PropertyValue?](repeating: nil, count: outcomes.count)
        for step in steps {
            var users: [Int] = []
            var refs: [RowRef] = []
            let refsOfList = rows.refs[kernel.listOfStep[step]]
            for i in values.indices where values[i] == nil && Int(outcomes.depth[i]) > step {
                users.append(i)
                refs.append(refsOfList[Int(outcomes.chosen[step][i])])
            }
            try rows.reader.values(of: refs, breakdown.property) { i, value in values[users[i]] = value }
        }
        return values
    }
}
