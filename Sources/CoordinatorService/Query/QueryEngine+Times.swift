import FunnelModel
import FunnelProtocol
import RPC
import ServiceRuntime

extension QueryEngine {
    /// The time between two steps.
    func times(_ request: TimesRequest, project: UInt32) async throws -> TimesReport {
        let start = ContinuousClock.now
        let query = try await resolve(request.query, project)
        let definition = query.definition
        let (from, to) = try request.steps(of: definition)
        let isHeavy = isHeavy(query, nil, project)
        let gathered = try await gate.run(project, isHeavy: isHeavy, until: start + request.query.deadline) {
            try await ask(query, .between(from: from, to: to), project, start)
        }
        var whole = PartialResult(steps: definition.steps.count, times: false)
        whole.report = .between(StepTimes())
        for result in gathered.answers { whole.merge(result) }
        var times = StepTimes()
        if case .between(let found)? = whole.report { times = found }
        return TimesReport(
            definition: definition, asOf: request.query.asOf, from: from, to: to, times: times, bins: request.bins,
            completeness: try judge(
                gathered.missing, newest: whole.newestEvent, request.query.allowPartial, heavy: whole.heavyUsers))
    }
}
