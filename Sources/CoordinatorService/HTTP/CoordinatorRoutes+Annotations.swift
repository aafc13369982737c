import FunnelModel
import FunnelProtocol
import HTTPTypes
import Hummingbird
import ServiceHost

/// Annotations (`Protocol/PROTOCOL.md`, "Annotations").
extension CoordinatorRoutes {
    static let annotationRows = [
        Row(.get, "/v1/annotations", role: .read) { routes, call in
            let parameters = call.request.uri.queryParameters.map { JSONValue.Member(ByteString(String($0.key)), .text(String($0.value))) }
            let range = try Annotation.readRange(.object(parameters))
            let list = try await routes.annotations.list(project: try call.project, in: range)
            return JSONResponse.json(["annotations": .array(list.map(\.json))])
        },
        Row(.get, "/v1/annotations/{id}", role: .read) { routes, call in
            try await answering {
                let saved = try await routes.annotations.get(try documentID(call), project: try call.project)
                return JSONResponse.json(saved.annotation.json, headers: [.eTag: tag(saved.revision)])
            }
        },
        Row(.put, "/v1/annotations/{id}", role: .admin, bodyBytesMax: { _ in Annotation.documentBytes }) { routes, call in
            let annotation = try Annotation.parse(try await call.document().withID(try documentID(call)))
            return try await answering {
                let (saved, created) = try await routes.annotations.put(annotation, if: condition(of: call), project: try call.project)
                return JSONResponse.json(
                    saved.annotation.json, status: created ? .created : .ok, headers: [.eTag: tag(saved.revision)])
            }
        },
        Row(.delete, "/v1/annotations/{id}", role: .admin) { routes, call in
            let id = try documentID(call)
            return try await answering {
                try await routes.annotations.delete(id, if: condition(of: call), project: try call.project)
                return Response(status: .noContent)
            }
        },
    ]
}
