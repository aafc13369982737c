import FunnelModel
import FunnelProtocol
import HTTPTypes
import Hummingbird
import RPC
import ServiceHost
import ServiceRuntime

/// The HTTP face of the coordinator: queries, lists and definitions.
struct CoordinatorRoutes {
    let engine: QueryEngine
    let savedFunnels: SavedFunnels
    let callers: Callers

    func add(to router: ServiceRouter) {
        router.get("/openapi.json") { _, _ in OpenAPI.response }
        router.get("/funnel-performance") { request, context in try await performance(request, context) }
        for report in ReportEndpoint.all {
            router.post(RouterPath(report.path)) { request, context in
                try await answer(request, context) { try await report.run(engine, $0, $1, $2) }
            }
        }
        addDiscovery(to: router)
        router.get("/v1/funnels") { request, _ in
            let saved = try await savedFunnels.list(project: try admit(request, for: .read))
            return JSONResponse.json(["funnels": .array(saved.map { $0.definition.json })])
        }
        router.get("/v1/funnels/{id}") { request, context in
            let project = try admit(request, for: .read)
            guard let saved = try await savedFunnels.get(try id(context), project: project) else { throw Self.unknown }
            return JSONResponse.json(saved.definition.json, headers: [.eTag: Self.tag(saved.revision)])
        }
        router.put("/v1/funnels/{id}") { request, context in try await put(request, context) }
        router.delete("/v1/funnels/{id}") { request, context in
            let project = try admit(request, for: .admin)
            let deleted = try await savedFunnels.delete(try id(context), expected: try Self.ifMatch(request), project: project)
            guard deleted else { throw Self.unknown }
            return Response(status: .noContent)
        }
    }

    func admit(_ request: Request, for role: KeyRole) throws -> UInt32 {
        try callers.admit(request, for: role).project
    }

    /// Answers with what a document asks for, told the time and the caller's project. A caller who leaves cancels it.
    func answer(
        _ request: Request, _ context: ServiceContext, _ report: @escaping @Sendable (JSONValue, Int64, UInt32) async throws -> JSONValue
    ) async throws -> Response {
        let project = try admit(request, for: .read)
        let answer = try await engine.tally.count(project) {
            let document = try await document(request)
            return try await context.whileCallerWaits { try await report(document, WallClock.now(), project) }
        }
        return JSONResponse.json(answer)
    }

    func document(_ request: Request) async throws -> JSONValue {
        try JSONParser.parse(try await ReceivedBody.read(request, limit: Limits.definitionBytes).content())
    }

    private func put(_ request: Request, _ context: ServiceContext) async throws -> Response {
        let project = try admit(request, for: .admin)
        let id = try id(context)
        let definition = try FunnelDefinition.parse(try await document(request))
        if let named = definition.id, named != id {
            throw InvalidDocument([FieldFault("funnel_id", "is \"\(named.string)\" in the body, \"\(id.string)\" in the path")])
        }
        let (saved, created) = try await savedFunnels.put(definition, id: id, expected: try Self.ifMatch(request), project: project)
        return JSONResponse.json(
            saved.definition.json, status: created ? .created : .ok, headers: [.eTag: Self.tag(saved.revision)])
    }

    private func id(_ context: ServiceContext) throws -> ByteString {
        let id = ByteString(context.parameters.get("id") ?? "")
        guard FunnelDefinition.isValidID(id) else {
            throw InvalidDocument([FieldFault("funnel_id", "must match [A-Za-z0-9_.-]{1,\(Limits.funnelIDBytes)}")])
        }
        return id
    }

    private static let unknown = ProtocolError(.unknownFunnel, "no funnel is saved under this id")

    private static func tag(_ revision: UInt64) -> String { "\"\(revision)\"" }

    /// The revision that the caller saw; nil where it does not care.
    private static func ifMatch(_ request: Request) throws -> UInt64? {
        if request.headers[.ifNoneMatch] == "*" { return 0 }
        guard let text = request.headers[.ifMatch], text != "*" else { return nil }
        guard let revision = UInt64(text.drop { $0 == "\"" }.prefix { $0 != "\"" }) else {
            throw ProtocolError(.conflict, "If-Match must be an ETag of this funnel")
        }
        return revision
    }

    /// The seed's endpoint. Bad dates answer 422 in the seed's `detail` shape.
    private func performance(_ request: Request, _ context: ServiceContext) async throws -> Response {
        let project = try admit(request, for: .read)
        let parameters = request.uri.queryParameters
        var members: [JSONValue.Member] = []
        for key in ["start_date", "end_date", "time_zone"] {
            if let value = parameters[key[...]] { members.append(.init(ByteString(key), .text(String(value)))) }
        }
        var reader = FieldReader(.object(members))
        let zone = reader.string("time_zone")
        let range = QueryRequest.readRange(&reader, zone: zone, from: "start_date", to: "end_date")
        guard reader.faults.isEmpty else {
            let detail = reader.faults.map { fault -> JSONValue in
                ["loc": ["query", .text(fault.field)], "msg": .text(fault.reason), "type": "value_error"]
            }
            return JSONResponse.json(["detail": .array(detail)], status: .unprocessableContent)
        }
        let id = parameters["funnel_id"].map { QueryRequest.Subject.saved(ByteString(String($0))) }
        let query = QueryRequest(
            subject: id ?? .defaultFunnel, entryRange: range, asOf: WallClock.now(),
            allowPartial: parameters["allow_partial"] == "true" || parameters["allow_partial"] == "1")
        let answer = try await engine.tally.count(project) {
            try await context.whileCallerWaits { try await engine.report(query, project: project).performanceJSON }
        }
        return JSONResponse.json(answer)
    }
}
