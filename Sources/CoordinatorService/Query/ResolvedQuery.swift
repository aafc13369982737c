import FunnelModel
import FunnelProtocol

/// A query whose funnels are all at hand.
struct ResolvedQuery: Sendable {
    var request: QueryRequest
    /// With the query's own `count_by` and `session_gap`.
    var definition: FunnelDefinition
    /// Of the whole, and so of all its parts.
    var cohorts: [Cohort] = []
    var segments: [Segment] = []
    /// The second of two funnels over the same users.
    var second: FunnelDefinition?

    struct Segment: Sendable {
        var name: ByteString
        var definition: FunnelDefinition
        var cohorts: [Cohort]
    }

    /// What every shard is asked about the whole.
    /// - Parameter buckets: the shard's.
    func partial(_ report: PartialQuery.Report?, buckets: Range<Int>) -> PartialQuery {
        PartialQuery(
            definition: definition, buckets: [buckets], asOf: request.asOf, entryRange: request.entryRange, cohorts: cohorts,
            times: request.times && report != .entrySpan, stillOpen: Self.tellsOpen(report),
            leavesOutHeavy: request.leavesOutHeavy && !Self.isOfOneUser(report), report: report)
    }

    /// What a list of users is of.
    func withoutFigures(buckets: Range<Int>) -> PartialQuery {
        var query = partial(nil, buckets: buckets)
        query.times = false
        query.stillOpen = false
        return query
    }

    /// A user who is explained can't be left out.
    private static func isOfOneUser(_ report: PartialQuery.Report?) -> Bool {
        if case .explain? = report { true } else { false }
    }

    /// Whether the counts, or the user, are asked for who of those who dropped can still go on.
    private static func tellsOpen(_ report: PartialQuery.Report?) -> Bool {
        switch report {
        case nil, .breakdown, .trend, .explain, .paired, .variants: true
        case .entrySpan, .between, .paths, .predictors: false
        }
    }

    /// All that every shard is asked: the whole, then the segments, then the period before.
    func partials(_ report: PartialQuery.Report?, buckets: Range<Int>) -> [PartialQuery] {
        var queries = [partial(report, buckets: buckets)]
        for segment in segments {
            var query = partial(nil, buckets: buckets)
            query.definition = segment.definition
            query.cohorts = segment.cohorts
            queries.append(query)
        }
        if let range = request.previous {
            var query = partial(nil, buckets: buckets)
            query.entryRange = range
            query.times = false
            query.stillOpen = false
            queries.append(query)
        }
        return queries
    }

    /// The report that the query asks for beside the counts, but for a trend, whose bounds may depend on the events.
    var report: PartialQuery.Report? {
        if let second { return .paired(second) }
        if case .property(let asked)? = request.variants { return .variants(asked.split) }
        return request.breakdown.map { .breakdown($0.breakdown) }
    }
}
