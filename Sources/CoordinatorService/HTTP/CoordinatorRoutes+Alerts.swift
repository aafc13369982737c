import FunnelAlerts
import FunnelModel
import FunnelProtocol
import HTTPTypes
import Hummingbird
import Metadata
import ServiceHost
import ServiceRuntime

/// Alert rules, their states and histories, and dry runs (`Protocol/ALERTS.md`).
extension CoordinatorRoutes {
    static let alertRows = [
        Row(.get, "/v1/alerts", role: .read) { routes, call in
            let entries = try await routes.alerts.book.list(project: try call.project)
            return JSONResponse.json(["alerts": .array(entries.map(\.json))])
        },
        Row(.get, "/v1/alerts/{id}", role: .read) { routes, call in
            try await answering {
                guard let entry = try await routes.alerts.book.get(try documentID(call), project: try call.project) else {
                    throw AccessRefusal.unknownDocument("alert rule")
                }
                return JSONResponse.json(entry.json, headers: [.eTag: tag(entry.revision)])
            }
        },
        Row(.put, "/v1/alerts/{id}", role: .admin, bodyBytesMax: { _ in AlertLimits.documentBytes }) { try await $0.putAlert($1) },
        Row(.delete, "/v1/alerts/{id}", role: .admin) { routes, call in
            let id = try documentID(call)
            return try await answering {
                try await routes.alerts.book.delete(id, if: condition(of: call), project: try call.project, now: WallClock.now())
                return Response(status: .noContent)
            }
        },
        Row(.get, "/v1/alerts/{id}/history", role: .read) { routes, call in
            try await answering {
                guard let history = try await routes.alerts.book.history(try documentID(call), project: try call.project) else {
                    throw AccessRefusal.unknownDocument("alert rule")
                }
                return JSONResponse.json(["history": history])
            }
        },
        Row(.post, "/v1/alerts/dry-run", role: .read, bodyBytesMax: { _ in AlertLimits.documentBytes }) { routes, call in
            let request = try AlertDryRunRequest.parse(try await call.document(), now: WallClock.now())
            let project = try call.project
            return JSONResponse.json(
                try await call.context.whileCallerWaits { try await routes.alerts.dryRun(request, project: project) })
        },
    ]

    private func putAlert(_ call: EndpointCall) async throws -> Response {
        let id = try Self.documentID(call)
        let body = try await ReceivedBody.read(call.request, limit: call.bodyBytesMax).content()
        let document = try JSONParser.parseStrictly(body, range: ByteOrderMark.length(in: body)..<body.count).withoutState
        let rule = try AlertRule.parse(document.withID(id))
        let project = try call.project
        try await alerts.check(rule, project: project)
        return try await Self.answering {
            let (entry, created) = try await alerts.book.put(rule, if: Self.condition(of: call), project: project, now: WallClock.now())
            return JSONResponse.json(entry.json, status: created ? .created : .ok, headers: [.eTag: Self.tag(entry.revision)])
        }
    }

    /// The id in the path.
    static func documentID(_ call: EndpointCall) throws -> String {
        let id = call.context.parameters.get("id") ?? ""
        guard FunnelDefinition.isValidID(ByteString(id)) else {
            throw InvalidDocument([FieldFault("id", "must match [A-Za-z0-9_.-]{1,\(Limits.funnelIDBytes)}")])
        }
        return id
    }
}

extension JSONValue {
    /// The document with the id of the path, which it may leave out.
    func withID(_ id: String) throws(InvalidDocument) -> JSONValue {
        guard let members = asObject else { return self }
        guard let own = self["id"] else { return .object([.init("id", .text(id))] + members) }
        guard own.asString?.string == id else { throw InvalidDocument([FieldFault("id", "must be \(id), the id in the path")]) }
        return self
    }
}
