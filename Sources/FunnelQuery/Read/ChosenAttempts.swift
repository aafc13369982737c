import EventStorage
import FunnelMatch
import FunnelModel

/// The attempt that speaks for a user (`Protocol/FUNNEL.md`, section 5), or for an attempt, a session or a value of one
/// where those are counted.
package struct ChosenAttempt: Sendable {
    /// Of the user, in the view.
    package var place: Int
    /// Deepest step reached, from 1.
    package var depth: Int
    /// Microseconds of the event of each step reached; nil for an optional step that was not done.
    package var time: [Int64?]
    /// Where those events stand in the view.
    package var row: [RowRef?]
    /// In any order, where `time` and `row` go by the moment that so many steps were done: the step, from 0, that each of
    /// the events fills. Empty otherwise.
    package var positions: [Int]
}

extension ShardQuery {
    /// The chosen attempts of all users who entered; where other units are counted, a user may have several.
    package func chosenAttempts() -> ChosenAttemptsScan { ChosenAttemptsScan(self) }
}

/// A walk over users' chosen attempts under way; `run` may be called on several threads at once.
package struct ChosenAttemptsScan: Sendable {
    private let query: ShardQuery
    private let queue: SliceQueue

    init(_ query: ShardQuery) {
        self.query = query
        queue = SliceQueue(query, size: GeneralScan.slicePlaces)
    }

    /// Slices; more threads than these have nothing to do.
    package var slices: Int { queue.count }

    /// Takes slices until there are none left.
    /// - Parameters:
    ///   - isCancelled: asked once a slice, and within long histories.
    ///   - begin: called before the attempts of each slice.
    /// - Throws: `MatchError`, `HeavyUser`, `StoreError`, and what `body` throws.
    package func run(isCancelled: () -> Bool, begin: () throws -> Void = {}, _ body: (ChosenAttempt) throws -> Void) throws {
        try GeneralScan(query).run(queue, isCancelled, begin: { _ in try begin() }) { history, outcome in
            try body(
                ChosenAttempt(
                    place: history.place, depth: outcome.depth, time: outcome.chain.map { $0 < 0 ? nil : history.events.time[$0] },
                    row: outcome.chain.map { $0 < 0 ? nil : history.row[$0] }, positions: outcome.positions))
        }
    }
}
