import FunnelModel
import FunnelProtocol
import HTTPTypes
import Hummingbird
import Metadata
import RPC
import ServiceHost
import ServiceRuntime

/// The HTTP endpoints of the coordinator, and what they answer with.
package struct CoordinatorRoutes: Sendable {
    let engine: QueryEngine
    let savedFunnels: SavedFunnels
    let savedRules: SavedRules
    let apiKeys: APIKeys
    let projects: ProjectStore
    let callers: Callers
    let hub: LiveHub
    let alerts: AlertEvaluator
    let desk: NoticeDesk
    let scheduler: ReportScheduler
    let cohorts: CohortSync
    let annotations: SavedAnnotations
    let applied: AppliedSets
    let ingests: IngestList
    let site: DashboardSite
    let started = ContinuousClock.now

    typealias Row = Endpoint<CoordinatorRoutes>

    package static let endpoints: [Endpoint<CoordinatorRoutes>] =
        reports + discovery + funnels + rules + keys + projectRows + alertRows + channelRows + scheduledReports + cohortRows
        + annotationRows + appliedRows + live + session + status + incoming + exports + DashboardSite.endpoints

    func add(to router: ServiceRouter) {
        router.add(Self.endpoints, of: self) { [callers] in try callers.admit($0, for: $1) }
    }

    // MARK: Saved funnels

    private static let funnels = [
        Row(.get, "/funnel-performance", role: .read) { try await $0.performance($1) },
        Row(.get, "/v1/funnels", role: .read) { routes, call in
            let saved = try await routes.savedFunnels.list(project: try call.project)
            return JSONResponse.json(["funnels": .array(saved.map { $0.definition.json })])
        },
        Row(.get, "/v1/funnels/{id}", role: .read) { routes, call in
            guard let saved = try await routes.savedFunnels.get(try id(call), project: try call.project) else { throw unknown }
            return JSONResponse.json(saved.definition.json, headers: [.eTag: tag(saved.revision)])
        },
        Row(.put, "/v1/funnels/{id}", role: .admin, bodyBytesMax: { _ in Limits.definitionBytes }) { try await $0.put($1) },
        Row(.delete, "/v1/funnels/{id}", role: .admin) { routes, call in
            let deleted = try await routes.savedFunnels.delete(try id(call), if: condition(of: call), project: try call.project)
            guard deleted else { throw unknown }
            return Response(status: .noContent)
        },
    ]

    private func put(_ call: EndpointCall) async throws -> Response {
        let id = try Self.id(call)
        let definition = try FunnelDefinition.parse(try await call.document())
        if let named = definition.id, named != id {
            throw InvalidDocument([FieldFault("funnel_id", "is \"\(named.string)\" in the body, \"\(id.string)\" in the path")])
        }
        let (saved, created) = try await savedFunnels.put(definition, id: id, if: Self.condition(of: call), project: try call.project)
        return JSONResponse.json(
            saved.definition.json, status: created ? .created : .ok, headers: [.eTag: Self.tag(saved.revision)])
    }

    static func id(_ call: EndpointCall) throws -> ByteString {
        let id = ByteString(call.context.parameters.get("id") ?? "")
        guard FunnelDefinition.isValidID(id) else {
            throw InvalidDocument([FieldFault("funnel_id", "must match [A-Za-z0-9_.-]{1,\(Limits.funnelIDBytes)}")])
        }
        return id
    }

    private static let unknown = ProtocolError(.unknownFunnel, "no funnel is saved under this id")

    static func tag(_ revision: UInt64) -> String { "\"\(revision)\"" }

    static func condition(of call: EndpointCall) -> FunnelPrecondition {
        FunnelPrecondition(ifMatch: call.request.headers[.ifMatch], ifNoneMatch: call.request.headers[.ifNoneMatch])
    }

    /// The counts of a saved funnel as a flat list. Bad dates have the shape that FastAPI services send: 422 with `detail`.
    private func performance(_ call: EndpointCall) async throws -> Response {
        let project = try call.project
        let parameters = call.request.uri.queryParameters
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
            try await call.context.whileCallerWaits { try await engine.report(query, project: project).performanceJSON }
        }
        return JSONResponse.json(answer)
    }
}
