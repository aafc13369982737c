import FunnelMatch
import FunnelModel
import FunnelStorage

extension FunnelScan {
    /// The users by the value of a property of their chosen attempt.
    /// - Parameter times: whether the users' times are wanted too.
    package func breakdown(_ breakdown: Breakdown, times: Bool) -> BreakdownScan { BreakdownScan(self, breakdown, times: times) }
}

/// A breakdown of a snapshot's users under way; `run` may be called on several threads at once, and their tallies added
/// up.
package struct BreakdownScan: Sendable {
    private let scan: FunnelScan
    private let breakdown: Breakdown
    private let times: Bool
    private let kernel: KernelPlan?
    private let queue: SliceQueue
    /// Steps whose events may give the value, 0-based, in the order in which they are asked.
    private let steps: [Int]

    init(_ scan: FunnelScan, _ breakdown: Breakdown, times: Bool) {
        self.scan = scan
        self.times = times
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
    /// - Returns: all users together, and by value.
    /// - Throws: `TooManyValues`, `MatchError`, `StoreError`.
    package func run(isCancelled: () -> Bool) throws -> (whole: FunnelTally, groups: GroupTally) {
        var whole = FunnelTally(scan.plan, times: times, unit: kernel?.scale ?? 1)
        var tally = GroupTally(steps: scan.plan.steps)
        if let kernel {
            try runAttempts(kernel, isCancelled, &whole, &tally)
        } else {
            try runGeneral(isCancelled, &whole, &tally)
        }
        return (whole, tally)
    }

    private func runGeneral(_ isCancelled: () -> Bool, _ whole: inout FunnelTally, _ tally: inout GroupTally) throws {
        var matcher = UserMatcher(scan.plan)
        var values = PropertyCodes(scan.snapshot, breakdown.property)
        // The chosen rows of many users are looked up together: one user's lie in pages far apart.
        var chains: [[RowRef]] = []
        try GeneralScan(scan).each(queue, isCancelled) { history, user in
            let outcome = try matcher.match(time: history.time, mask: history.mask, isCancelled: isCancelled)
            if outcome.depth == 0 { return }
            whole.add(outcome, time: history.time)
            chains.append(outcome.chain.map { user.ref(history.row[$0]) })
            if chains.count < Self.chainsAtOnce { return }
            try add(chains, &values, &tally)
            chains.removeAll(keepingCapacity: true)
        }
        try add(chains, &values, &tally)
    }

    private static let chainsAtOnce = 4_096

    private func add(_ chains: [[RowRef]], _ values: inout PropertyCodes, _ tally: inout GroupTally) throws {
        var codes = [Int32](repeating: PropertyCodes.none, count: chains.count)
        for step in steps {
            let users = chains.indices.filter { codes[$0] == PropertyCodes.none && step < chains[$0].count }
            let found = try values.codes(of: users.map { chains[$0][step] }) { try tally.code(of: $0) }
            for (user, code) in zip(users, found) { codes[user] = code }
        }
        for (chain, code) in zip(chains, codes) { tally.add(code: code, depth: chain.count) }
    }

    private func runAttempts(
        _ kernel: KernelPlan, _ isCancelled: () -> Bool, _ whole: inout FunnelTally, _ tally: inout GroupTally
    ) throws {
        guard var attempts = AttemptScan(kernel.rules, includeShallow: true) else { return }
        // Steps that are asked first, and with `last` the first step too, are so of nearly every user.
        let eager = breakdown.touch == .last ? steps : Array(steps.prefix(1))
        let reader = KernelReader(kernel, rowsOfLists: Set(eager.map { kernel.listOfStep[$0] }))
        var values = ChosenValues(kernel, reader, PropertyCodes(scan.snapshot, breakdown.property))
        while let slice = queue.next() {
            if isCancelled() { throw MatchError.cancelled }
            try reader.load(slice)
            attempts.scan(reader.lists, listOfStep: kernel.listOfStep)
            tally.add(codes: try values.codes(attempts.outcomes, steps, &tally), attempts.outcomes)
            whole.add(attempts.outcomes, reader.lists, listOfStep: kernel.listOfStep)
        }
        whole.add(entered: attempts.entered[0], open: attempts.shallowOpen[0])
    }
}
