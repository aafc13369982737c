import FunnelModel
import FunnelProtocol
import HTTPTypes
import Hummingbird
import Metadata
import Notifications
import ServiceHost
import ServiceRuntime

/// Cohorts that are sent out (`Protocol/COHORTS.md`).
extension CoordinatorRoutes {
    static let cohortRows = [
        Row(.get, "/v1/cohorts", role: .read) { routes, call in
            let entries = try await routes.cohorts.book.list(project: try call.project)
            return JSONResponse.json(["cohorts": .array(entries.map(\.json))])
        },
        Row(.get, "/v1/cohorts/{id}", role: .read) { routes, call in
            try await answering {
                guard let entry = try await routes.cohorts.book.get(try documentID(call), project: try call.project) else {
                    throw AccessRefusal.unknownDocument("cohort")
                }
                return JSONResponse.json(entry.json, headers: [.eTag: tag(entry.revision)])
            }
        },
        Row(.put, "/v1/cohorts/{id}", role: .admin, bodyBytesMax: { _ in SyncedCohort.documentBytes }) { routes, call in
            let id = try documentID(call)
            let cohort = try SyncedCohort.parseWithQuestion(try await call.document().withoutState.withID(id))
            let project = try call.project
            try await routes.cohorts.check(cohort, project: project)
            return try await answering {
                let (entry, created) = try await routes.cohorts.book.put(
                    cohort, if: condition(of: call), project: project, now: WallClock.now())
                routes.cohorts.wake()
                return JSONResponse.json(entry.json, status: created ? .created : .ok, headers: [.eTag: tag(entry.revision)])
            }
        },
        Row(.delete, "/v1/cohorts/{id}", role: .admin) { routes, call in
            let id = try documentID(call)
            return try await answering {
                try await routes.cohorts.book.delete(id, if: condition(of: call), project: try call.project)
                return Response(status: .noContent)
            }
        },
        Row(.post, "/v1/cohorts/{id}/sync", role: .admin) { routes, call in
            try await answering {
                let entry = try await routes.cohorts.want(try documentID(call), project: try call.project)
                return JSONResponse.json(entry.json, status: .accepted)
            }
        },
    ]
}
