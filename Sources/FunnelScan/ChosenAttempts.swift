import FunnelMatch
import FunnelModel
import FunnelStorage

/// The attempt that speaks for a user (`Protocol/FUNNEL.md`, section 5).
package struct ChosenAttempt: Sendable {
    /// Of the user, in the snapshot.
    package var place: Int
    /// Deepest step reached, from 1.
    package var depth: Int
    /// Microseconds of the event of each step reached; nil for an optional step that was not done.
    package var time: [Int64?]
}

extension FunnelScan {
    /// The chosen attempts of all users who entered.
    package func chosenAttempts() -> ChosenAttemptsScan { ChosenAttemptsScan(self) }
}

/// A walk over users' chosen attempts under way; `run` may be called on several threads at once.
package struct ChosenAttemptsScan: Sendable {
    private let scan: FunnelScan
    private let queue: SliceQueue

    init(_ scan: FunnelScan) {
        self.scan = scan
        queue = SliceQueue(scan.places, size: GeneralScan.slicePlaces)
    }

    /// Slices; more threads than these have nothing to do.
    package var slices: Int { queue.count }

    /// Takes slices until there are none left.
    /// - Parameter isCancelled: asked once a slice, and within long histories.
    /// - Throws: `MatchError`, `StoreError`, and what `body` throws.
    package func run(isCancelled: () -> Bool, _ body: (ChosenAttempt) throws -> Void) throws {
        try GeneralScan(scan).run(queue, isCancelled) { place, outcome, time in
            if outcome.depth == 0 { return }
            try body(ChosenAttempt(place: place, depth: outcome.depth, time: outcome.chain.map { $0 < 0 ? nil : time[$0] }))
        }
    }
}
