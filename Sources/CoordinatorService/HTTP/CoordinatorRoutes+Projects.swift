import FunnelModel
import FunnelProtocol
import HTTPTypes
import Hummingbird
import Metadata
import RPC
import ServiceHost
import ServiceRuntime

/// Projects: a number, a name and settings. Operators make them and see all; other callers see their own.
extension CoordinatorRoutes {
    static let projectRows = [
        Row(.get, "/v1/projects", role: .read) { routes, call in
            let caller = try call.caller
            let seen = try await routes.projects.list().filter { caller.isOperator || $0.number == caller.project }
            return JSONResponse.json(["projects": .array(seen.map(json))])
        },
        Row(.post, "/v1/projects", role: .admin, bodyBytesMax: { _ in ProjectRequest.bytesMax }) { try await $0.createProject($1) },
        Row(.get, "/v1/projects/{id}", role: .read) { routes, call in
            try await answering {
                let number = try number(of: call)
                guard let project = try await routes.projects.get(number) else { throw AccessRefusal.unknownProject("\(number)") }
                return JSONResponse.json(json(project))
            }
        },
        Row(.put, "/v1/projects/{id}", role: .admin, bodyBytesMax: { _ in ProjectRequest.bytesMax }) { routes, call in
            let request = try ProjectRequest.parse(try await call.document())
            return try await answering {
                let project = try await routes.projects.replace(try number(of: call), name: request.name, settings: request.settings)
                return JSONResponse.json(json(project))
            }
        },
    ]

    private func createProject(_ call: EndpointCall) async throws -> Response {
        try call.caller.requireOperator()
        let request = try ProjectRequest.parse(try await call.document())
        return try await Self.answering {
            let now = WallClock.now() / 1_000_000
            let project = try await projects.create(name: request.name, settings: request.settings, now: now, isUsed: hasEvents)
            return JSONResponse.json(Self.json(project), status: .created)
        }
    }

    /// Whether any shard has events of a project. A new project must not see those of an earlier one, whose API keys are gone.
    private func hasEvents(_ project: UInt32) async throws -> Bool {
        let shards = await engine.totals(project: project)
        if shards.contains(where: { $0.totals.map { $0.rows > 0 } ?? false }) { return true }
        let missing = shards.filter { $0.totals == nil }
        guard missing.isEmpty else {
            throw ProtocolError(
                .shardUnavailable, "no project was made: every shard must say that it has no events under the number",
                shards: missing.map { ClusterMap.Shard.name($0.id) })
        }
        return false
    }

    /// The number in the path. The project of another caller is as unknown as one that does not exist.
    private static func number(of call: EndpointCall) throws -> UInt32 {
        let text = call.context.parameters.get("id") ?? ""
        let caller = try call.caller
        guard let number = UInt32(text), caller.isOperator || number == caller.project else { throw AccessRefusal.unknownProject(text) }
        return number
    }

    private static func json(_ project: Project) -> JSONValue {
        [
            "id": .count(Int(project.number)), "name": .text(project.name), "created_at": time(project.created),
            "settings": project.settings.json,
        ]
    }
}
