import FunnelModel
import FunnelProtocol
import ServiceRuntime

/// What users do around the steps: reports by themselves, without the counts of the steps.
extension QueryEngine {
    func paths(_ request: PathsRequest, project: UInt32) async throws -> JSONValue {
        let query = try await resolve(request.query, project)
        let question = try request.question(for: query.definition)
        return try await alone(.paths(question), query, project) { report in
            var counts = PathCounts()
            if case .paths(let found)? = report { counts = found }
            return PathsReport(question, counts, rows: request.rows).json
        }
    }

    func predictors(_ request: PredictorsRequest, project: UInt32) async throws -> JSONValue {
        let query = try await resolve(request.query, project)
        let question = try request.question(for: query.definition)
        return try await alone(.predictors(question), query, project) { report in
            var counts = PredictorCounts()
            if case .predictors(let found)? = report { counts = found }
            return PredictorsReport(question, counts, usersMin: request.usersMin, rows: request.rows).json
        }
    }

    /// - Parameter json: the report's own members; it is given what the shards found together, nil where none answered.
    private func alone(
        _ report: PartialQuery.Report, _ query: ResolvedQuery, _ project: UInt32,
        json: @escaping @Sendable (PartialResult.Report?) -> [JSONValue.Member]
    ) async throws -> JSONValue {
        let start = ContinuousClock.now
        let (request, definition) = (query.request, query.definition)
        let isHeavy = isHeavy(query, report, project)
        let gathered = try await gate.run(project, isHeavy: isHeavy, until: start + request.deadline) {
            try await ask(query, report, project, start)
        }
        let head: [JSONValue.Member] = [
            .init("funnel", definition.json), .init("rules", .text(definition.rules)), .init("as_of", .text(Timestamp.format(request.asOf))),
        ]
        let isLong = gathered.answers.contains(where: \.isLarge)
        let found = Handover(gathered)
        return try await aside.run(project, isLong: isLong) { [self] in
            let gathered = found.take()
            var whole = PartialResult(steps: definition.steps.count, times: false)
            for result in gathered.answers { whole.merge(result) }
            let completeness = try judge(gathered.missing, newest: whole.newestEvent, request.allowPartial, heavy: whole.heavyUsers)
            return .object(head + json(whole.report) + [.init("completeness", completeness.json)])
        }
    }
}
