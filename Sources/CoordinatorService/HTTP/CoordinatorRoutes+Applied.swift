import FunnelModel
import FunnelProtocol
import HTTPTypes
import Hummingbird
import Metadata
import ServiceHost

/// What `sluice apply` created (`Protocol/PROTOCOL.md`, "Definitions as files").
extension CoordinatorRoutes {
    static let appliedRows = [
        Row(.get, "/v1/applied", role: .admin) { routes, call in
            let sets = try await routes.applied.list(project: try call.project)
            return JSONResponse.json(["sets": .array(sets.map(\.json))])
        },
        Row(.get, "/v1/applied/{id}", role: .admin) { routes, call in
            try await answering {
                let name = try documentID(call)
                guard let saved = try await routes.applied.get(name, project: try call.project) else {
                    throw AccessRefusal.unknownDocument("applied set")
                }
                return JSONResponse.json(saved.json, headers: [.eTag: tag(saved.revision)])
            }
        },
        Row(.put, "/v1/applied/{id}", role: .admin, bodyBytesMax: { _ in AppliedSets.bodyBytes }) { routes, call in
            let name = try documentID(call)
            let documents = try AppliedSets.parse(try await call.document(), name: name)
            return try await answering {
                let (saved, created) = try await routes.applied.put(
                    documents, name: name, if: condition(of: call), project: try call.project)
                return JSONResponse.json(saved.json, status: created ? .created : .ok, headers: [.eTag: tag(saved.revision)])
            }
        },
        Row(.delete, "/v1/applied/{id}", role: .admin) { routes, call in
            let name = try documentID(call)
            return try await answering {
                try await routes.applied.delete(name, if: condition(of: call), project: try call.project)
                return Response(status: .noContent)
            }
        },
    ]
}
