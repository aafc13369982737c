import FunnelModel
import FunnelProtocol
import ServiceRuntime

extension QueryEngine {
    /// The events and property values that predict whether users reach a step.
    func predictors(_ request: PredictorsRequest, project: UInt32) async throws -> JSONValue {
        let query = try await resolve(request.query, project)
        let question = try request.question(for: query.definition)
        return try await separate(.predictors(question), query, project) { report in
            var counts = PredictorCounts()
            if case .predictors(let found)? = report { counts = found }
            return PredictorsReport(question, counts, usersMin: request.usersMin, rows: request.rows).json
        }
    }
}
