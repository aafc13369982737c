import FunnelModel
import RPC

/// A report that a JSON request asks for. `all` is the only list of them: HTTP endpoints and wire calls are made from it.
package struct ReportEndpoint: Sendable {
    /// Runs the report for a project. `now` is the time of the request, in microseconds since 1970 UTC.
    typealias Run = @Sendable (_ engine: QueryEngine, _ document: JSONValue, _ now: Int64, _ project: UInt32) async throws -> JSONValue

    /// The HTTP path; the method is POST.
    package let path: String
    /// The wire call; nil if its answer has frames of its own.
    let call: CallPath?
    let run: Run

    private init(_ path: String, _ call: CallPath?, run: @escaping Run) {
        self.path = path
        self.call = call
        self.run = run
    }

    package static let all: [ReportEndpoint] = [
        ReportEndpoint("/v1/query", .query) { try await $0.report(try QueryRequest.parse($1, now: $2), project: $3).json },
        ReportEndpoint("/v1/query/users", nil) {
            try await $0.users(try UsersRequest.parse($1, now: $2), project: $3).json(withUsers: true)
        },
        ReportEndpoint("/v1/query/paths", .paths) { try await $0.paths(try PathsRequest.parse($1, now: $2), project: $3) },
        ReportEndpoint("/v1/query/predictors", .predictors) {
            try await $0.predictors(try PredictorsRequest.parse($1, now: $2), project: $3)
        },
        ReportEndpoint("/v1/query/times", .times) { try await $0.times(try TimesRequest.parse($1, now: $2), project: $3).json },
        ReportEndpoint("/v1/query/explain", .explain) { try await $0.explain(try ExplainRequest.parse($1, now: $2), project: $3).json },
    ]
}
