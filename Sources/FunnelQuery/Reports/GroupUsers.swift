import EventStorage
import FunnelMatch
import FunnelModel

extension BreakdownScan {
    /// Calls `body` with the place of each user of one row, and how far the user got.
    /// - Parameter value: nil is the row of the users without a value.
    func eachUser(of value: PropertyValue?, _ isCancelled: () -> Bool, _ body: (Int, Reach) -> Void) throws {
        // Used only to number the values.
        var tally = GroupTally(steps: query.plan.steps)
        let wanted = try value.map { try tally.code(of: $0) } ?? PropertyCodes.none
        if let property = breakdown.property.userPropertyName {
            return try eachUser(withOwn: property, wanted, &tally, isCancelled, body)
        }
        guard let kernel else { return try eachUserInGeneral(wanted, &tally, isCancelled, body) }
        guard let attempts = NarrowedReader(kernel, rowsOfLists: Set(steps.map { kernel.listOfStep[$0] })) else { return }
        var values = ChosenValues(kernel, attempts.reader, PropertyCodes(query.view, breakdown.property))
        try queue.each(isCancelled) { slice in
            try attempts.load(slice)
            let codes = try values.codes(attempts.outcomes, steps, &tally)
            for i in codes.indices where codes[i] == wanted {
                body(slice.lowerBound + Int(attempts.outcomes.user[i]), attempts.outcomes.reach(i))
            }
        }
    }

    /// `eachUser` for a user property.
    private func eachUser(
        withOwn property: ByteString, _ wanted: Int32, _ tally: inout GroupTally, _ isCancelled: () -> Bool,
        _ body: (Int, Reach) -> Void
    ) throws {
        var values = TalliedUserValues(query, property)
        let reader = OutcomeReader(query, MatchStrategy.choose(for: query, countsOnly: false), includeShallow: true, tellsOpen: true)
        try queue.each(isCancelled) { slice in
            try values.load(slice)
            var users: [(place: Int, reach: Reach)] = []
            try reader.each(in: slice, isCancelled) { users.append(($0, $1)) }
            for user in users where try values.code(user.place - slice.lowerBound, &tally) == wanted {
                body(user.place, user.reach)
            }
        }
    }

    private func eachUserInGeneral(
        _ wanted: Int32, _ tally: inout GroupTally, _ isCancelled: () -> Bool, _ body: (Int, Reach) -> Void
    ) throws {
        var values = PropertyCodes(query.view, breakdown.property)
        try GeneralScan(query).run(queue, isCancelled) { history, outcome in
            let positions = outcome.positions.isEmpty ? Array(outcome.chain.indices) : outcome.positions
            var code = PropertyCodes.none
            for step in steps where code == PropertyCodes.none {
                guard let i = positions.firstIndex(of: step), outcome.chain[i] >= 0 else { continue }
                code = try values.codes(of: [history.row[outcome.chain[i]]]) { try tally.code(of: $0) }[0]
            }
            if code == wanted { body(history.place, outcome.reach) }
        }
    }
}
