/// One shard's answer to a funnel query; answers of shards with disjoint buckets add up.
package struct PartialResult: Equatable, Sendable {
    /// Buckets whose users are counted here, as ascending disjoint ranges.
    package var buckets: [Range<Int>]
    /// Users with a depth of at least i + 1.
    package var counts: [UInt64]
    /// Ticks from step 1, of the users counted in row i; empty where times were not asked for. Row 0, which takes no time,
    /// stays empty.
    package var fromFirst: [TimeSummary]
    /// Ticks from the previous step. Rows 0 and 1 stay empty: the step before row 1 is step 1.
    package var fromPrevious: [TimeSummary]
    /// Unconverted users whose deepest open attempt has depth i + 1.
    package var open: [UInt64]
    /// The same users by the depth of the attempt that speaks for them; nil where that was not asked for.
    package var stillOpen: [UInt64]?
    /// Microseconds of the newest stored event of the project, of any name.
    package var newestEvent: Int64?
    /// Users who were left out for being too heavy; nil where they are an error.
    package var heavyUsers: UInt64?
    /// What was asked for beside the counts.
    package var report: Report?

    package enum Report: Equatable, Sendable {
        case breakdown(ValueGroups)
        /// By bucket, users with a depth of at least i + 1 among the attempts that began in it.
        case trend([[UInt64]])
        /// Microseconds of the earliest and the latest event that may start an attempt; nil where there are none.
        case entrySpan(ClosedRange<Int64>?)
        case between(StepTimes)
        /// Of one user, whom the counts are of too; nil where the user is not known.
        case explain(UserExplanation?)
        case paths(PathCounts)
        case predictors(PredictorCounts)
        case paired(PairedCounts)
        /// The users by variant, and how many of all who entered saw several.
        case variants(ValueGroups, several: UInt64)
    }

    package init(steps: Int, times: Bool, buckets: [Range<Int>] = []) {
        self.buckets = buckets
        counts = Array(repeating: 0, count: steps)
        fromFirst = times ? Array(repeating: TimeSummary(), count: steps) : []
        fromPrevious = fromFirst
        open = counts
    }

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
        // One shard alone is asked for an explanation. Whoever adds up has checked that all answers are of one kind.
        case (.breakdown, _), (.trend, _), (.entrySpan, _), (.between, _), (.explain, _), (.paired, _), (.variants, _), (.paths, _),
            (.predictors, _):
            break
        }
    }
}
