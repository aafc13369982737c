import EventStorage
import FunnelMatch
import FunnelModel

/// Walks users' chosen attempts, each beside the user's events of some names; `run` may be called on several threads at
/// once.
struct AttemptTimelines: Sendable {
    private let view: StoreView
    private let countsUsers: Bool
    private let attempts: ChosenAttemptsScan
    private let heavy: HeavyUsers
    /// What `UserRows.event` refers to.
    let names: [ByteString]

    /// - Parameter names: of the events to read.
    init(_ query: ShardQuery, names: [ByteString]) {
        view = query.view
        countsUsers = query.plan.definition.countBy == .users
        attempts = query.chosenAttempts()
        heavy = query.heavy
        self.names = names
    }

    var slices: Int { attempts.slices }

    /// Takes slices until there are none left.
    /// - Parameters:
    ///   - isCancelled: asked once a slice, and within long histories.
    ///   - isWanted: whether `body` is to be told an attempt.
    ///   - body: told the attempt and the user's events in order of time, which hold during the call alone; nil where there
    ///     are none.
    /// - Throws: `MatchError`, `.notUsers` where other units are counted; `StoreError`; what `body` throws.
    func run(
        isCancelled: () -> Bool, isWanted: (ChosenAttempt) -> Bool, _ body: (ChosenAttempt, UserRows?) throws -> Void
    ) throws {
        guard countsUsers else { throw MatchError.notUsers }
        let rows = view.userRows(names, rowsMax: heavy.rowsMax)
        // Attempts of a slice come in order of place.
        var waiting: [ChosenAttempt] = []
        func tell() throws {
            guard let first = waiting.first, let last = waiting.last else { return }
            var next = 0
            let places = first.place..<(last.place + 1)
            _ = try rows.each(in: places, tooMany: { try heavy.meetCrowd($0) }) { user in
                while next < waiting.count, waiting[next].place <= user.place {
                    try body(waiting[next], waiting[next].place == user.place ? user : nil)
                    next += 1
                }
                return true
            }
            for attempt in waiting[next...] { try body(attempt, nil) }
            waiting.removeAll(keepingCapacity: true)
        }
        try attempts.run(isCancelled: isCancelled, begin: tell) { attempt in
            if isWanted(attempt) { waiting.append(attempt) }
        }
        try tell()
    }
}

extension ChosenAttempt {
    /// Microseconds of a step's event, the step counted from 1; nil where the user did not do it. In any order, of the moment
    /// that so many steps were done.
    func time(ofStep step: Int) -> Int64? { step <= depth ? time[step - 1] : nil }

    /// The first microsecond after the attempt's window.
    func windowEnd(_ plan: FunnelPlan) -> Int64 {
        let base = plan.definition.anchor == .firstStep ? time[0] : time[depth - 1]
        return base.map { (plan.ticks($0) + plan.window + 1) * plan.tick } ?? .min
    }
}
