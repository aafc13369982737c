import FunnelModel
import FunnelProtocol
import RPC
import ServiceRuntime

extension QueryEngine {
    /// One user's matched events, or why the user stopped. Asks only the shard of the user; throws if it does not answer.
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
}
