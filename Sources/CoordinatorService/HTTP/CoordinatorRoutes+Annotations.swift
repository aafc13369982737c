import FunnelModel
import FunnelProtocol
import HTTPTypes
import Hummingbird
import Metadata
import ServiceHost
import ServiceRuntime

/// Annotations of trends (`Protocol/PROTOCOL.md`, "Annotations").
extension CoordinatorRoutes {
    static let annotationRows = [
        Row(.get, "/v1/annotations", role: .read) { routes, call in
            var reader = FieldReader(.object(call.parameters))
            let zone = reader.string("time_zone")
            let range = QueryRequest.readRange(&reader, zone: zone, from: "start", to: "end") ?? Int64.min..<Int64.max
            let funnel = reader.string("funnel_id")
            reader.rejectUnknown("parameter")
            guard reader.faults.isEmpty else { throw InvalidDocument(reader.faults) }
            let found = try await routes.annotations.list(range, funnel: funnel, project: try call.project)
            return JSONResponse.json(["annotations": .array(found.map(\.json))])
        },
        Row(.get, "/v1/annotations/{id}", role: .read) { routes, call in
            try await answering {
                guard let (saved, revision) = try await routes.annotations.get(try documentID(call), project: try call.project) else {
                    throw AccessRefusal.unknownDocument("annotation")
                }
                return JSONResponse.json(saved.json, headers: [.eTag: tag(revision)])
            }
        },
        Row(.put, "/v1/annotations/{id}", role: .admin, bodyBytesMax: { _ in Annotation.documentBytes }) { routes, call in
            let id = try documentID(call)
            let annotation = try Annotation.parse(try await call.document().withID(id), now: WallClock.now())
            return try await answering {
                let (revision, created) = try await routes.annotations.put(
                    annotation, if: condition(of: call), project: try call.project)
                return JSONResponse.json(annotation.json, status: created ? .created : .ok, headers: [.eTag: tag(revision)])
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
