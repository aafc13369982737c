import EventRules
import FunnelModel
import FunnelProtocol
import HTTPTypes
import Hummingbird
import Metadata
import ServiceHost

/// The normalisation rules of a project. An operator's key sees and rules those of all projects, another key those of its own.
extension CoordinatorRoutes {
    static let rules = [
        Row(.get, "/v1/rules", role: .read) { routes, call in
            let project = try routes.namedProject(call)
            return try await answering {
                try await routes.requireProject(project)
                return try routes.response(routes.savedRules.get(project: project))
            }
        },
        Row(.put, "/v1/rules", role: .admin, bodyBytesMax: { _ in RuleLimits.documentBytes }) { try await $0.putRules($1) },
    ]

    private func putRules(_ call: EndpointCall) async throws -> Response {
        let project = try namedProject(call)
        let body = try await ReceivedBody.read(call.request, limit: call.bodyBytesMax).content()
        let list = try RuleList.parse(try JSONParser.parseStrictly(body, range: ByteOrderMark.length(in: body)..<body.count))
        let caller = try call.caller
        return try await Self.answering {
            try await requireProject(project)
            return try response(try await savedRules.put(list, if: Self.condition(of: call), project: project, by: caller))
        }
    }

    /// The project of the caller, or the one that an operator names.
    private func namedProject(_ call: EndpointCall) throws -> UInt32 {
        guard let project = try listedProject(call) else {
            throw InvalidDocument([FieldFault("project", "must be the number of a project")])
        }
        return project
    }

    private func requireProject(_ project: UInt32) async throws {
        guard try await projects.get(project) != nil else { throw AccessRefusal.unknownProject("\(project)") }
    }

    private func response(_ saved: SavedRules.Saved) throws -> Response {
        let rules = try JSONParser.parse(saved.document.bytes)["rules"] ?? []
        return JSONResponse.json(
            ["revision": .integer(Int64(clamping: saved.revision)), "rules": rules],
            headers: saved.revision == 0 ? [:] : [.eTag: Self.tag(saved.revision)])
    }
}
