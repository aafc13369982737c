/// One shard's answer to a funnel query. Answers of shards with disjoint buckets are merged.
package struct PartialResult: Equatable, Sendable {
    /// Buckets whose users are counted, as ascending disjoint ranges.
    package var buckets: [Range<Int>]
    /// Element i: users with a depth of at least i + 1.
    package var counts: [UInt64]
    /// Element i: times from step 1 of the users counted in row i, in ticks; empty if times were not asked for. Element 0 is
    /// always empty.
    package var fromFirst: [TimeSummary]
    /// The same from the previous row. Element 1 is empty too, since its previous row is step 1.
    package var fromPrevious: [TimeSummary]
    /// Element i: unconverted users whose deepest open attempt has depth i + 1.
    package var open: [UInt64]
    /// The same users by the depth of their chosen attempt; nil if that was not asked for.
    package var stillOpen: [UInt64]?
    /// Time of the project's newest stored event, of any name, in microseconds.
    package var newestEvent: Int64?
    /// Users who were left out because they are too heavy; nil if heavy users are an error.
    package var heavyUsers: UInt64?
    /// The report that was asked for in addition to the counts.
    package var report: Report?

    /// The answer to a report, other than the counts.
    package enum Report: Equatable, Sendable {
        case breakdown(ValueGroups)
        /// By trend bucket, element i: users with a depth of at least i + 1 among the attempts that began in it.
        case trend([[UInt64]])
        /// Times of the earliest and the latest event that may start an attempt, in microseconds; nil without such events.
        case entrySpan(ClosedRange<Int64>?)
        case between(StepTimes)
        /// One user, who is also the only one counted; nil if the user is not known.
        case explain(UserExplanation?)
        case paths(PathCounts)
        case predictors(PredictorCounts)
        case paired(PairedCounts)
        /// The users by variant, and the number of users who entered and have several variants.
        case variants(ValueGroups, several: UInt64)
    }

    package init(steps: Int, times: Bool, buckets: [Range<Int>] = []) {
        self.buckets = buckets
        counts = Array(repeating: 0, count: steps)
        fromFirst = times ? Array(repeating: TimeSummary(), count: steps) : []
        fromPrevious = fromFirst
        open = counts
    }

    /// Adds the counts of other users.
    package mutating func merge(_ other: PartialResult) {
        buckets = (buckets + other.buckets).sorted { $0.lowerBound < $1.lowerBound }
        for i in counts.indices {
            counts[i] += other.counts[i]
            open[i] += other.open[i]
        }
        if let more = other.stillOpen { stillOpen = stillOpen.map { zip($0, more).map(+) } ?? more }
        for i in fromFirst.indices {
            fromFirst[i].merge(other.fromFirst[i])
            fromPrevious[i].merge(other.fromPrevious[i])
        }
        if let more = other.heavyUsers { heavyUsers = (heavyUsers ?? 0) + more }
        newestEvent = [newestEvent, other.newestEvent].compactMap { $0 }.max()
        mergeReport(other.report)
    }

    private mutating func mergeReport(_ other: Report?) {
        switch (report, other) {
        case (_, nil): break
        case (nil, _): report = other
        case (.breakdown(var groups), .breakdown(let more)):
            report = nil
            groups.merge(more)
            report = .breakdown(groups)
        case (.trend(let buckets), .trend(let more)):
            report = .trend(zip(buckets, more).map { zip($0, $1).map(+) })
        case (.entrySpan(let a?), .entrySpan(let b?)):
            report = .entrySpan(min(a.lowerBound, b.lowerBound)...max(a.upperBound, b.upperBound))
        case (.entrySpan, .entrySpan(nil)): break
        case (.entrySpan(nil), .entrySpan): report = other
        case (.between(var times), .between(let more)):
            report = nil
            times.merge(more)
            report = .between(times)
        case (.paths(var paths), .paths(let more)):
            report = nil
            paths.merge(more)
            report = .paths(paths)
        case (.predictors(var counts), .predictors(let more)):
            report = nil
            counts.merge(more)
            report = .predictors(counts)
        case (.paired(var pairs), .paired(let more)):
            pairs.merge(more)
            report = .paired(pairs)
        case (.variants(var groups, let several), .variants(let more, let moreSeveral)):
            report = nil
            groups.merge(more)
            report = .variants(groups, several: several + moreSeveral)
        // Only one shard is asked for an explanation, and the caller has checked that all reports are of one kind.
        case (.breakdown, _), (.trend, _), (.entrySpan, _), (.between, _), (.explain, _), (.paired, _), (.variants, _), (.paths, _),
            (.predictors, _):
            break
        }
    }
}
