import FunnelModel
import FunnelProtocol
import ServiceRuntime

extension QueryEngine {
    /// Runs a report that comes without counts by step.
    /// - Parameter json: makes the report's own members from the merged answers of the shards; nil if none answered.
    func separate(
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
            .init("funnel", definition.json), .init("rules", .text(definition.rules)),
            .init("as_of", .text(Timestamp.format(request.asOf))),
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
