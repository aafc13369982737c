import EventStorage
import FunnelMatch
import FunnelModel

extension ShardQuery {
    /// The users of an experiment, grouped by variant (`FUNNEL.md` section 6, "Experiments").
    /// - Parameter times: whether step times of the whole are collected too.
    package func variants(_ split: VariantSplit, times: Bool) -> VariantScan { VariantScan(self, split, times: times) }
}

/// A running experiment report. Threads call `run` concurrently; their tallies are merged.
package struct VariantScan: Sendable {
    private let query: ShardQuery
    private let split: VariantSplit
    private let groups: BreakdownScan
    /// For `exposure: attempt`: a second pass, which counts the users with several values.
    private let outcomes: (strategy: MatchStrategy, queue: SliceQueue)

    init(_ query: ShardQuery, _ split: VariantSplit, times: Bool) {
        self.query = query
        self.split = split
        let touch = if case .attempt(let touch) = split.exposure { touch } else { Breakdown.Touch.step(1) }
        groups = query.breakdown(Breakdown(property: split.property, touch: touch), times: times)
        let strategy = MatchStrategy.choose(for: query, countsOnly: false)
        outcomes = (strategy, SliceQueue(query, size: strategy.slicePlaces))
    }

    /// Number of slices; more threads than that have no work.
    package var slices: Int { groups.slices }

    /// Processes slices until none is left.
    /// - Parameter isCancelled: called once a slice, and within long histories.
    /// - Returns: tallies of all users and of the users by variant, and the number of users with several values.
    /// - Throws: `TooManyValues`, `MatchError`, `StoreError`.
    package func run(isCancelled: () -> Bool) throws -> (whole: FunnelTally, groups: GroupTally, several: Int) {
        // A user has one value of a user property.
        if split.property.userPropertyName != nil {
            let (whole, tally) = try groups.run(isCancelled: isCancelled)
            return (whole, tally, 0)
        }
        var values = ExposureValues(query, split.property)
        switch split.exposure {
        case .first:
            let (whole, tally) = try groups.run(by: &values, isCancelled)
            return (whole, tally, values.several)
        case .attempt:
            let (whole, tally) = try groups.run(isCancelled: isCancelled)
            try countSeveral(&values, isCancelled)
            return (whole, tally, values.several)
        }
    }

    private func countSeveral(_ values: inout ExposureValues, _ isCancelled: () -> Bool) throws {
        let reader = OutcomeReader(query, outcomes.strategy, includeShallow: true, tellsOpen: false)
        try outcomes.queue.each(isCancelled) { slice in
            try values.load(slice)
            try reader.each(in: slice, isCancelled) { place, _ in values.count(place - slice.lowerBound) }
        }
    }
}
