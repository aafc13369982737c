import FunnelMatch
import FunnelModel
import FunnelStorage

extension BreakdownScan {
    /// The users of one row, each with its place and the depth reached.
    /// - Parameter value: nil is the row of the users without one.
    func eachUser(of value: PropertyValue?, _ isCancelled: () -> Bool, _ body: (Int, Int) -> Void) throws {
        // Only its numbering of the values is used.
        var tally = GroupTally(steps: scan.plan.steps)
        let wanted = try value.map { try tally.code(of: $0) } ?? PropertyCodes.none
        guard let kernel else { return try eachUserInGeneral(of: wanted, &tally, isCancelled, body) }
        guard var attempts = AttemptScan(kernel.rules, includeShallow: true) else { return }
        let reader = KernelReader(kernel, rowsOfLists: Set(steps.map { kernel.listOfStep[$0] }))
        var values = ChosenValues(kernel, reader, PropertyCodes(scan.snapshot, breakdown.property))
        while let slice = queue.next() {
            if isCancelled() { throw MatchError.cancelled }
            try reader.load(slice)
            attempts.scan(reader.lists, listOfStep: kernel.listOfStep)
            let codes = try values.codes(attempts.outcomes, steps, &tally)
            for i in codes.indices where codes[i] == wanted {
                body(slice.lowerBound + Int(attempts.outcomes.user[i]), Int(attempts.outcomes.depth[i]))
            }
        }
    }

    private func eachUserInGeneral(
        of wanted: Int32, _ tally: inout GroupTally, _ isCancelled: () -> Bool, _ body: (Int, Int) -> Void
    ) throws {
        var values = PropertyCodes(scan.snapshot, breakdown.property)
        try GeneralScan(scan).eachChosen(queue, isCancelled) { outcome, history, user in
            var code = PropertyCodes.none
            for step in steps where code == PropertyCodes.none && step < outcome.chain.count && outcome.chain[step] >= 0 {
                code = try values.codes(of: [user.ref(history.row[outcome.chain[step]])]) { try tally.code(of: $0) }[0]
            }
            if code == wanted { body(history.place, outcome.depth) }
        }
    }
}
