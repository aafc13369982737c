import EventStorage
import FunnelMatch
import FunnelModel

/// Walks the users' chosen attempts, each with the user's events of some names. Threads call `run` concurrently.
struct AttemptTimelines: Sendable {
    private let view: StoreView
    private let countsUsers: Bool
    private let attempts: ChosenAttemptsScan
    private let heavy: HeavyUsers
    /// Event names by the index that `UserRows.event` returns.
    let names: [ByteString]

    /// Prepares the walk; `names` are the event names to read.
    init(_ query: ShardQuery, names: [ByteString]) {
        view = query.view
        countsUsers = query.plan.definition.countBy == .users
        attempts = query.chosenAttempts()
        heavy = query.heavy
        self.names = names
    }

    var slices: Int { attempts.slices }

    /// Processes slices until none is left.
    /// - Parameters:
    ///   - isCancelled: called once a slice, and within long histories.
    ///   - isWanted: whether `body` is called for an attempt.
    ///   - body: gets the attempt and the user's events in order of time, which are valid during the call only; nil if there
    ///     are none.
    /// - Throws: `MatchError`, with `.notUsers` if the plan counts other units; `StoreError`; errors of `body`.
    func run(
        isCancelled: () -> Bool, isWanted: (ChosenAttempt) -> Bool, _ body: (ChosenAttempt, UserRows?) throws -> Void
    ) throws {
        guard countsUsers else { throw MatchError.notUsers }
        let rows = view.userRows(names, rowsMax: heavy.rowsMax)
        // Attempts of a slice come in the order of places.
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
    /// Time of a step's event in microseconds, the step 1-based; nil if the user did not do the step. In any order, the time
    /// when that number of steps was done.
    func time(ofStep step: Int) -> Int64? { step <= depth ? time[step - 1] : nil }

    /// The first microsecond after the attempt's window. As for paths and predictors, windows of steps do not shorten it.
    func windowEnd(_ plan: FunnelPlan) -> Int64 {
        let base = plan.definition.anchor == .firstStep ? time[0] : time[depth - 1]
        return base.map { (plan.ticks($0) + plan.window.count + 1) * plan.tick } ?? .min
    }
}
