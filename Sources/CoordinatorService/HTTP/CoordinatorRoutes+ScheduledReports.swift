import FunnelModel
import FunnelProtocol
import HTTPTypes
import Hummingbird
import Metadata
import Notifications
import ServiceHost
import ServiceRuntime

/// Scheduled reports (`Protocol/REPORTS.md`).
extension CoordinatorRoutes {
    static let scheduledReports = [
        Row(.get, "/v1/reports", role: .read) { routes, call in
            let now = WallClock.now()
            let entries = try await routes.scheduler.book.list(project: try call.project)
            return JSONResponse.json(["reports": .array(entries.map { $0.json(now: now) })])
        },
        Row(.get, "/v1/reports/{id}", role: .read) { routes, call in
            try await answering {
                let entry = try await routes.scheduledReport(call)
                return JSONResponse.json(entry.json(now: WallClock.now()), headers: [.eTag: tag(entry.revision)])
            }
        },
        Row(.put, "/v1/reports/{id}", role: .admin, bodyBytesMax: { _ in ScheduledReport.documentBytes }) { routes, call in
            let id = try documentID(call)
            let report = try ScheduledReport.parseWithQuestion(try await call.document().withoutState.withID(id))
            let project = try call.project
            try await routes.scheduler.check(report, project: project)
            return try await answering {
                let now = WallClock.now()
                let (entry, created) = try await routes.scheduler.book.put(report, if: condition(of: call), project: project, now: now)
                return JSONResponse.json(
                    entry.json(now: now), status: created ? .created : .ok, headers: [.eTag: tag(entry.revision)])
            }
        },
        Row(.delete, "/v1/reports/{id}", role: .admin) { routes, call in
            let id = try documentID(call)
            return try await answering {
                try await routes.scheduler.book.delete(id, if: condition(of: call), project: try call.project)
                return Response(status: .noContent)
            }
        },
        Row(.post, "/v1/reports/{id}/send", role: .admin) { routes, call in
            try await answering {
                let entry = try await routes.scheduledReport(call)
                let sent = try await routes.scheduler.sendNow(entry, now: WallClock.now())
                return JSONResponse.json(["key": .text(sent.key), "channels": .array(sent.channels.map { .text($0) })])
            }
        },
    ]

    private func scheduledReport(_ call: EndpointCall) async throws -> ReportEntry {
        guard let entry = try await scheduler.book.get(try Self.documentID(call), project: try call.project) else {
            throw AccessRefusal.unknownDocument("report")
        }
        return entry
    }
}
