import FunnelModel
import FunnelProtocol
import RPC
import ServiceRuntime

/// Reports on single users, on the time between two steps, and on what there is to ask about.
extension QueryEngine {
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

    /// Asks only the shard that has the user; without it there is no answer.
    func explain(_ request: ExplainRequest, project: UInt32) async throws -> ExplainReport {
        let start = ContinuousClock.now
        let query = try await resolve(request.query, project)
        let definition = query.definition
        try request.check(against: definition)
        let bucket = ClusterMap.bucket(ofUser: request.user)
        let others = fleet.links.filter { !$0.buckets.contains(bucket) }.map(\.id)
        let gathered = try await gate.run(project, isHeavy: false, until: start + request.query.deadline) {
            try await ask(query, .explain(user: request.user), project, start, without: Set(others))
        }
        _ = try judge(gathered.missing, newest: nil, false)
        let answer = gathered.answers.first
        var explanation: UserExplanation?
        if case .explain(let found)? = answer?.report { explanation = found }
        return ExplainReport(
            definition: definition, asOf: request.query.asOf, user: request.user, explanation: explanation,
            completeness: Completeness(asked: 1, answered: 1, missing: [], newestEvent: answer?.newestEvent))
    }

    func discover(_ request: DiscoveryRequest, project: UInt32) async throws -> DiscoveryReport {
        let start = ContinuousClock.now
        let deadline = QueryRequest.defaultDeadline
        let query = request.query
        let gathered = try await gate.run(project, isHeavy: false, until: start + deadline) {
            try await fanOut(deadline, start) { link, left, number in
                let body = try await link.call(.partialDiscovery, query.body, project: project, request: number, timeout: left)
                return try await self.aside.run(project, isLong: body.count > Self.shortBytes) {
                    try decoding("discovery result") { () throws(ByteError) in try Discovery(body: body) }
                }
            }
        }
        var whole = request.nothing
        for found in gathered.answers { whole.merge(found) }
        return DiscoveryReport(request, whole, try judge(gathered.missing, newest: nil, request.allowPartial))
    }
}
