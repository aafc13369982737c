import EventStorage
import FunnelMatch
import FunnelModel

extension ShardQuery {
    /// The chosen attempts of all users who entered; a user may have several if the plan counts other units.
    package func chosenAttempts() -> ChosenAttemptsScan { ChosenAttemptsScan(self) }
}

/// A running walk over the users' chosen attempts. Threads call `run` concurrently.
package struct ChosenAttemptsScan: Sendable {
    private let query: ShardQuery
    private let queue: SliceQueue

    init(_ query: ShardQuery) {
        self.query = query
        queue = SliceQueue(query, size: GeneralScan.slicePlaces)
    }

    /// Number of slices; more threads than that have no work.
    package var slices: Int { queue.count }

    /// Processes slices until none is left.
    /// - Parameters:
    ///   - isCancelled: called once a slice, and within long histories.
    ///   - begin: called before the attempts of each slice.
    /// - Throws: `MatchError`, `HeavyUser`, `StoreError`, and errors of `begin` and `body`.
    package func run(isCancelled: () -> Bool, begin: () throws -> Void = {}, _ body: (ChosenAttempt) throws -> Void) throws {
        try GeneralScan(query).run(queue, isCancelled, begin: { _ in try begin() }) { history, outcome in
            try body(
                ChosenAttempt(
                    place: history.place, depth: outcome.depth, time: outcome.chain.map { $0 < 0 ? nil : history.events.time[$0] },
                    row: outcome.chain.map { $0 < 0 ? nil : history.row[$0] }, positions: outcome.positions))
        }
    }
}
