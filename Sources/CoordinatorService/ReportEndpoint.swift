import FunnelModel
import RPC

/// A report that a JSON document asks for. `all` is the only list of them: routes over HTTP, calls of the wire protocol and the
/// paths of the OpenAPI document are made from it.
package struct ReportEndpoint: Sendable {
    /// Answers the document of a project's caller. The number is the time of the question, in microseconds since 1970.
    typealias Run = @Sendable (_ engine: QueryEngine, _ document: JSONValue, _ now: Int64, _ project: UInt32) async throws -> JSONValue

    /// Over HTTP, by POST.
    package let path: String
    /// Over the wire; nil where the answer has frames of its own.
    let call: CallPath?
    let summary: String
    /// Names of OpenAPI schemas.
    let requestSchema: String
    let answerSchema: String
    let run: Run

    package static let all: [ReportEndpoint] = [
        ReportEndpoint(
            path: "/v1/query", call: .query,
            summary: "The report of a funnel: counts, rates and times by step, and what else the body asks for.",
            requestSchema: "Query", answerSchema: "Report"
        ) { try await $0.report(try QueryRequest.parse($1, now: $2), project: $3).json },
        ReportEndpoint(
            path: "/v1/query/users", call: nil, summary: "A page of the users of a step.", requestSchema: "UsersQuery",
            answerSchema: "UsersPage"
        ) { try await $0.users(try UsersRequest.parse($1, now: $2), project: $3).json(withUsers: true) },
        ReportEndpoint(
            path: "/v1/query/paths", call: .paths, summary: "What users do after the step they dropped at, or between two steps.",
            requestSchema: "PathsQuery", answerSchema: "Paths"
        ) { try await $0.paths(try PathsRequest.parse($1, now: $2), project: $3) },
        ReportEndpoint(
            path: "/v1/query/predictors", call: .predictors, summary: "What users who reach a step did before.",
            requestSchema: "PredictorsQuery", answerSchema: "Predictors"
        ) { try await $0.predictors(try PredictorsRequest.parse($1, now: $2), project: $3) },
        ReportEndpoint(
            path: "/v1/query/times", call: .times, summary: "How long users took from one step to another.",
            requestSchema: "TimesQuery", answerSchema: "Times"
        ) { try await $0.times(try TimesRequest.parse($1, now: $2), project: $3).json },
        ReportEndpoint(
            path: "/v1/query/explain", call: .explain, summary: "One user's matched events, or why they stopped.",
            requestSchema: "ExplainQuery", answerSchema: "Explanation"
        ) { try await $0.explain(try ExplainRequest.parse($1, now: $2), project: $3).json },
    ]
}
