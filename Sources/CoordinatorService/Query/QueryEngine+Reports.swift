import FunnelModel
import FunnelProtocol
import RPC
import ServiceRuntime

extension QueryEngine {
    /// Asks the shards and returns their answers, in the order of `ResolvedQuery.partials`, and the bounds of the trend. If the
    /// bounds depend on the events, the shards are asked for the first and last of those before.
    func gather(
        _ query: ResolvedQuery, _ project: UInt32, _ start: ContinuousClock.Instant
    ) async throws -> (bounds: [Int64], results: Gathered<[PartialResult]>) {
        let request = query.request
        var span: ClosedRange<Int64>?
        var missing: [(shard: ShardFleet.Link, error: ProtocolError)] = []
        if request.trend != nil, TrendRequest.needsSpan(request.entryRange) {
            let found = try await ask(query, .entrySpan, project, start)
            _ = try judge(found.missing, newest: nil, request.allowPartial)
            missing = found.missing
            var whole = PartialResult(steps: query.definition.steps.count, times: false)
            for result in found.answers { whole.merge(result) }
            if case .entrySpan(let known)? = whole.report { span = known }
        }
        let bounds = try request.trend?.bounds(request.entryRange, span: span) ?? []
        let report = bounds.count > 1 ? .trend(bounds) : query.report
        // A shard that did not answer the first question is left out, since its events may be outside of the buckets.
        var results = try await askAll(query, project, start, without: Set(missing.map(\.shard.id))) {
            query.partials(report, buckets: $0)
        }
        if let asked = request.breakdown { try await settle(asked, query, &results, project, start) }
        results.missing += missing
        results.missing.sort { $0.shard.id < $1.shard.id }
        return (bounds, results)
    }

    /// Asks every shard for one report.
    /// - Parameter absent: ids of shards not to be asked.
    func ask(
        _ query: ResolvedQuery, _ report: PartialQuery.Report?, _ project: UInt32, _ start: ContinuousClock.Instant,
        without absent: Set<Int> = []
    ) async throws -> Gathered<PartialResult> {
        let found = try await askAll(query, project, start, without: absent) { [query.partial(report, buckets: $0)] }
        return Gathered(answers: found.answers.map { $0[0] }, missing: found.missing)
    }

    /// Asks every shard some questions, one after the other: a shard answers all of them or is missing.
    func askAll(
        _ query: ResolvedQuery, _ project: UInt32, _ start: ContinuousClock.Instant, without absent: Set<Int>,
        _ questions: @escaping @Sendable (Range<Int>) -> [PartialQuery]
    ) async throws -> Gathered<[PartialResult]> {
        let end = start + query.request.deadline
        return try await fanOut(query.request.deadline, start, without: absent) { link, _, number in
            var results: [PartialResult] = []
            for question in questions(link.buckets) {
                let left = end - ContinuousClock.now
                guard left > .zero else { throw ProtocolError(.deadlineExceeded, "the deadline passed", shards: [link.name]) }
                let body: [UInt8]
                do {
                    body = try await link.call(.partialQuery, question.body, project: project, request: number, timeout: left)
                } catch let error as ProtocolError {
                    throw Self.explaining(error, of: question, link)
                }
                let result = try await self.aside.run(project, isLong: body.count > Self.shortBytes) {
                    try decoding("partial result") { () throws(ByteError) in try PartialResult(body: body) }
                }
                guard result.buckets == [link.buckets], result.counts.count == question.definition.steps.count,
                    question.isAnswered(by: result)
                else {
                    throw ProtocolError(.invalidMessage, "\(link.name) answered for other buckets, steps or reports", shards: [link.name])
                }
                results.append(result)
            }
            return results
        }
    }

    /// Merges the answers of all shards, by question.
    static func merge(_ answers: [[PartialResult]], _ query: ResolvedQuery, _ bounds: [Int64]) -> [PartialResult] {
        let questions = query.partials(nil, buckets: 0..<0)
        return questions.enumerated().map { i, question in
            var whole = PartialResult(steps: question.definition.steps.count, times: question.times)
            if i == 0 { whole.report = emptyReport(query, bounds) }
            if question.stillOpen { whole.stillOpen = whole.open }
            if let answer = answers.map({ $0[i] }).mergedInPairs({ $0.merge($1) }) { whole.merge(answer) }
            return whole
        }
    }

    /// The report of no shard, to merge others into.
    private static func emptyReport(_ query: ResolvedQuery, _ bounds: [Int64]) -> PartialResult.Report? {
        let steps = query.definition.steps.count
        switch query.report {
        case .breakdown?: return .breakdown(ValueGroups(steps: steps))
        case .paired?: return .paired(PairedCounts())
        case .variants?: return .variants(ValueGroups(steps: steps), several: 0)
        case nil, .trend?, .between?, .explain?, .entrySpan?, .paths?, .predictors?: break
        }
        guard query.request.trend != nil else { return nil }
        return .trend(Array(repeating: Array(repeating: 0, count: steps), count: max(0, bounds.count - 1)))
    }

    /// Makes the report from the merged results, in the order of `ResolvedQuery.partials`.
    static func report(
        _ query: ResolvedQuery, _ results: [PartialResult], _ bounds: [Int64], _ completeness: Completeness
    ) throws -> FunnelReport {
        let (request, definition) = (query.request, query.definition)
        var report = FunnelReport(definition: definition, asOf: request.asOf, result: results[0], completeness: completeness)
        switch results[0].report {
        case .breakdown(let groups)?:
            if let asked = request.breakdown { report.breakdown = BreakdownReport(asked, groups, of: results[0].counts, definition) }
        case .variants(let groups, let several)?:
            if case .property(let asked)? = request.variants {
                let immature = definition.isImmature(request.entryRange, newest: results[0].newestEvent, asOf: request.asOf)
                report.variants = try VariantsReport(asked, groups, several: several, definition, immature: immature).json
            }
        case .trend(let counts)?:
            if let asked = request.trend {
                report.trend = TrendReport(asked, definition, asOf: request.asOf, bounds: bounds, counts: counts)
            }
        case .paired(let pairs)?:
            if case .funnels(let funnels)? = request.variants, let second = query.second {
                report.variants = PairedReport(names: funnels.map(\.name), definitions: [definition, second], pairs).json
            }
        // The other reports do not belong to this request.
        case nil, .entrySpan?, .between?, .explain?, .paths?, .predictors?: break
        }
        report.segments = zip(query.segments, results.dropFirst()).map { segment, result in
            (segment.name, FunnelFigures(definition: segment.definition, result: result))
        }
        if let range = request.previous {
            report.previous = PreviousPeriod(
                definition, asOf: request.asOf, range: range, counts: results[results.count - 1].counts, current: results[0].counts,
                currentEnd: request.entryRange?.upperBound ?? range.upperBound)
        }
        return report
    }
}

extension PartialQuery {
    /// Whether a result has what was asked.
    fileprivate func isAnswered(by result: PartialResult) -> Bool {
        guard stillOpen == (result.stillOpen != nil), leavesOutHeavy == (result.heavyUsers != nil) else { return false }
        switch report {
        case nil: return result.report == nil
        case .breakdown(_, let share)?:
            guard case .breakdown(let groups)? = result.report else { return false }
            switch share {
            case .leading: return true
            case .named(let values): return values.allSatisfy { groups.values.index(of: $0) != nil }
            case .all: return groups.untold.values == 0
            }
        case .trend(let bounds)?:
            if case .trend(let buckets)? = result.report { return buckets.count == bounds.count - 1 }
        case .entrySpan?: if case .entrySpan? = result.report { return true }
        case .between?: if case .between? = result.report { return true }
        case .explain?: if case .explain? = result.report { return true }
        case .paired?: if case .paired? = result.report { return true }
        case .variants?: if case .variants? = result.report { return true }
        case .paths?: if case .paths? = result.report { return true }
        case .predictors?: if case .predictors? = result.report { return true }
        }
        return false
    }
}
