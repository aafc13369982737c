import FunnelModel
import FunnelProtocol
import FunnelRPC

extension QueryEngine {
    /// What the shards say to a query, and the bounds of its trend. Where the buckets of a trend depend on the events,
    /// the shards are asked for the first and last of those before.
    func gather(
        _ request: QueryRequest, _ definition: FunnelDefinition, _ project: UInt32, _ start: ContinuousClock.Instant
    ) async throws -> (bounds: [Int64], results: Gathered<PartialResult>) {
        var span: ClosedRange<Int64>?
        var missing: [(shard: ShardFleet.Link, error: ProtocolError)] = []
        if request.trend != nil, TrendRequest.needsSpan(request.entryRange) {
            let found = try await ask(request, definition, .entrySpan, project, start)
            _ = try judge(found.missing, newest: nil, request.allowPartial)
            missing = found.missing
            var whole = PartialResult(steps: definition.steps.count, times: false)
            for result in found.answers { whole.merge(result) }
            if case .entrySpan(let known)? = whole.report { span = known }
        }
        let bounds = try request.trend?.bounds(request.entryRange, span: span) ?? []
        var report = request.breakdown.map { PartialQuery.Report.breakdown($0.breakdown) }
        if bounds.count > 1 { report = .trend(bounds) }
        // A shard that missed the first question would be in the counts and not in the buckets.
        var results = try await ask(request, definition, report, project, start, without: Set(missing.map(\.shard.id)))
        results.missing += missing
        results.missing.sort { $0.shard.id < $1.shard.id }
        return (bounds, results)
    }

    func ask(
        _ request: QueryRequest, _ definition: FunnelDefinition, _ report: PartialQuery.Report?, _ project: UInt32,
        _ start: ContinuousClock.Instant, without absent: Set<Int> = []
    ) async throws -> Gathered<PartialResult> {
        try await fanOut(request.deadline, start, without: absent) { [self] link, left, number in
            let query = plan(request, definition, link, report)
            let body = try await link.queries.call(.partialQuery, query.body, project: project, request: number, timeout: left)
            let result = try decoding("partial result") { () throws(ByteError) in try PartialResult(body: body) }
            guard result.buckets == [link.buckets], result.counts.count == definition.steps.count, query.isAnswered(by: result) else {
                throw ProtocolError(.invalidMessage, "\(link.name) answered for other buckets, steps or reports", shards: [link.name])
            }
            return result
        }
    }

    /// What no shard at all would have said.
    static func emptyReport(_ request: QueryRequest, _ bounds: [Int64], steps: Int) -> PartialResult.Report? {
        if request.breakdown != nil { return .breakdown(ValueGroups(steps: steps)) }
        guard request.trend != nil else { return nil }
        return .trend(Array(repeating: Array(repeating: 0, count: steps), count: max(0, bounds.count - 1)))
    }

    static func report(
        _ request: QueryRequest, _ definition: FunnelDefinition, _ whole: PartialResult, _ bounds: [Int64], _ completeness: Completeness
    ) -> FunnelReport {
        var report = FunnelReport(definition: definition, asOf: request.asOf, result: whole, completeness: completeness)
        if let asked = request.breakdown, case .breakdown(let groups)? = whole.report {
            report.breakdown = BreakdownReport(asked, groups, steps: definition.steps)
        }
        if let asked = request.trend, case .trend(let counts)? = whole.report {
            report.trend = TrendReport(asked, definition, asOf: request.asOf, bounds: bounds, counts: counts)
        }
        return report
    }
}

extension PartialQuery {
    /// Whether a result tells what was asked.
    fileprivate func isAnswered(by result: PartialResult) -> Bool {
        switch (report, result.report) {
        case (nil, nil), (.breakdown, .breakdown), (.entrySpan, .entrySpan), (.paths, .paths), (.predictors, .predictors): true
        case (.trend(let bounds), .trend(let buckets)): buckets.count == bounds.count - 1
        default: false
        }
    }
}
