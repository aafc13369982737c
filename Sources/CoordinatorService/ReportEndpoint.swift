import FunnelModel
import RPC
import ReportTables

/// A report that a JSON request asks for. `all` is the only list of them: HTTP endpoints and wire calls are made from it.
package struct ReportEndpoint: Sendable {
    /// Runs the report for a project. `now` is the time of the request, in microseconds since 1970 UTC.
    typealias Run = @Sendable (_ engine: QueryEngine, _ document: JSONValue, _ now: Int64, _ project: UInt32) async throws -> JSONValue

    /// The HTTP path; the method is POST.
    package let path: String
    /// The last part of the path of the same report of a saved funnel; the method is GET.
    package let name: String
    /// The wire call; nil if its answer has frames of its own.
    let call: CallPath?
    /// Names of the tables of the report as CSV and NDJSON. Without a choice it is written as the first of them that it has.
    let tables: [String]
    let makeTables: @Sendable (JSONValue) -> [ReportTable]
    /// Parameters of GET.
    let parameters: [URLParameter]
    let run: Run

    /// Whether the answer is a list that has pages; in CSV and NDJSON, and by GET, it is sent whole.
    var isList: Bool { path == "/v1/query/users" }

    private init(
        _ path: String, _ name: String, _ call: CallPath?, tables: [String], _ makeTables: @escaping @Sendable (JSONValue) -> [ReportTable],
        parameters: [URLParameter], run: @escaping Run
    ) {
        self.path = path
        self.name = name
        self.call = call
        self.tables = tables
        self.makeTables = makeTables
        self.parameters = URLParameter.ofQuery + parameters
        self.run = run
    }

    package static let all: [ReportEndpoint] = [
        ReportEndpoint(
            "/v1/query", "report", .query, tables: ["breakdown", "trend", "segments", "variants", "funnels", "paired", "steps"],
            ReportTable.funnel,
            parameters: [
                URLParameter("times"), URLParameter("compare"), URLParameter("breakdown", in: "breakdown", as: "property"),
                URLParameter("touch", in: "breakdown"), URLParameter("k", .number, in: "breakdown"),
                URLParameter("trend", in: "trend", as: "by"), URLParameter("variants", in: "variants", as: "property"),
                URLParameter("control", in: "variants"), URLParameter("exposure", in: "variants"),
            ]
        ) { try await $0.report(try QueryRequest.parse($1, now: $2), project: $3).json },
        ReportEndpoint(
            "/v1/query/users", "users", nil, tables: ["users"],
            { [ReportTable.users(($0["users"]?.asArray ?? []).compactMap(\.asString))] },
            parameters: [URLParameter("step", .step), URLParameter("outcome"), URLParameter("after")]
        ) { try await $0.users(try UsersRequest.parse($1, now: $2), project: $3).json(withUsers: true) },
        ReportEndpoint(
            "/v1/query/paths", "paths", .paths, tables: ["paths", "next"], ReportTable.paths,
            parameters: [
                URLParameter("dropped", .step, in: "from"), URLParameter("between", .twoSteps, in: "from"), URLParameter("length", .number),
                URLParameter("k", .number),
            ]
        ) { try await $0.paths(try PathsRequest.parse($1, now: $2), project: $3) },
        ReportEndpoint(
            "/v1/query/predictors", "predictors", .predictors, tables: ["predictors"], ReportTable.predictors,
            parameters: [
                URLParameter("step", .step), URLParameter("of", .step), URLParameter("properties", .flag), URLParameter("k", .number),
                URLParameter("min_users", .number),
            ]
        ) { try await $0.predictors(try PredictorsRequest.parse($1, now: $2), project: $3) },
        ReportEndpoint(
            "/v1/query/times", "times", .times, tables: ["summary", "histogram"], ReportTable.times,
            parameters: [URLParameter("from", .step), URLParameter("to", .step), URLParameter("bins", .number)]
        ) { try await $0.times(try TimesRequest.parse($1, now: $2), project: $3).json },
        ReportEndpoint(
            "/v1/query/explain", "explain", .explain, tables: ["events", "chosen", "attempts", "summary"], ReportTable.explanation,
            parameters: [URLParameter("user_id")]
        ) { try await $0.explain(try ExplainRequest.parse($1, now: $2), project: $3).json },
    ]

    /// The table that a form names, or the first that the report has.
    func table(of report: JSONValue, _ name: String?) throws(InvalidDocument) -> ReportTable {
        let made = makeTables(report)
        let wanted = name.map { [$0] } ?? tables
        for name in wanted {
            if let table = made.first(where: { $0.name == name }) { return table }
        }
        let has = made.map(\.name).joined(separator: ", ")
        throw InvalidDocument([FieldFault("table", "this report has no \"\(name ?? "")\"; it has \(has)")])
    }
}
