import FunnelModel
import FunnelProtocol
import ServiceRuntime

extension QueryEngine {
    /// What users do after a step, or between two steps.
    func paths(_ request: PathsRequest, project: UInt32) async throws -> JSONValue {
        let query = try await resolve(request.query, project)
        let question = try request.question(for: query.definition)
        return try await separate(.paths(question), query, project) { report in
            var counts = PathCounts()
            if case .paths(let found)? = report { counts = found }
            return PathsReport(question, counts, rows: request.rows).json
        }
    }
}
