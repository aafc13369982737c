import FunnelModel
import FunnelProtocol

/// A query with all its saved funnels looked up.
struct ResolvedQuery: Sendable {
    var request: QueryRequest
    /// With the query's own `count_by` and `session_gap`.
    var definition: FunnelDefinition
    /// Of the whole query, and so of all its parts.
    var cohorts: [Cohort] = []
    var segments: [Segment] = []
    /// The second of two funnels over the same users.
    var second: FunnelDefinition?

    struct Segment: Sendable {
        var name: ByteString
        var definition: FunnelDefinition
        var cohorts: [Cohort]
    }

    /// The question to a shard about the whole query, for the shard's `buckets`.
    func partial(_ report: PartialQuery.Report?, buckets: Range<Int>) -> PartialQuery {
        PartialQuery(
            definition: definition, buckets: [buckets], asOf: request.asOf, entryRange: request.entryRange, cohorts: cohorts,
            times: request.times && report != .entrySpan, stillOpen: Self.tellsOpen(report),
            leavesOutHeavy: request.leavesOutHeavy && !Self.isOfOneUser(report), report: report)
    }

    /// The question to a shard for a list of users: without times and open counts.
    func withoutFigures(buckets: Range<Int>) -> PartialQuery {
        var query = partial(nil, buckets: buckets)
        query.times = false
        query.stillOpen = false
        return query
    }

    /// True for an explanation: its user can't be left out.
    private static func isOfOneUser(_ report: PartialQuery.Report?) -> Bool {
        if case .explain? = report { true } else { false }
    }

    /// Whether the answer reports dropped users who can still go on.
    private static func tellsOpen(_ report: PartialQuery.Report?) -> Bool {
        switch report {
        case nil, .breakdown, .trend, .explain, .paired, .variants: true
        case .entrySpan, .between, .paths, .predictors: false
        }
    }

    /// All questions to a shard, in order: the whole query, the segments, the previous period.
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

    /// The report that the query asks for besides the counts, except a trend, whose bounds may depend on the events.
    var report: PartialQuery.Report? {
        if let second { return .paired(second) }
        if case .property(let asked)? = request.variants { return .variants(asked.split) }
        return request.breakdown.map { .breakdown($0.breakdown) }
    }
}
