import FunnelModel
import FunnelProtocol
import HTTPTypes
import Hummingbird
import Metadata
import Notifications
import ServiceHost

/// Channels, and a test of one (`Protocol/CHANNELS.md`).
extension CoordinatorRoutes {
    static let channelRows = [
        Row(.get, "/v1/channels", role: .admin) { routes, call in
            let project = try call.project
            var list: [JSONValue] = []
            for saved in try await routes.desk.channels.list(project: project) { list.append(await routes.json(saved.channel, project)) }
            return JSONResponse.json(["channels": .array(list)])
        },
        Row(.get, "/v1/channels/{id}", role: .admin) { routes, call in
            try await answering {
                let project = try call.project
                let saved = try await routes.savedChannel(call)
                return JSONResponse.json(await routes.json(saved.channel, project), headers: [.eTag: tag(saved.revision)])
            }
        },
        Row(.put, "/v1/channels/{id}", role: .admin, bodyBytesMax: { _ in NoticeLimits.documentBytes }) { routes, call in
            let id = try documentID(call)
            let document = try await call.document()
            let project = try call.project
            return try await answering {
                let (saved, created) = try await routes.desk.channels.put(document, id: id, if: condition(of: call), project: project)
                return JSONResponse.json(
                    await routes.json(saved.channel, project), status: created ? .created : .ok, headers: [.eTag: tag(saved.revision)])
            }
        },
        Row(.delete, "/v1/channels/{id}", role: .admin) { routes, call in
            let id = try documentID(call)
            return try await answering {
                try await routes.desk.delete(channel: id, if: condition(of: call), project: try call.project)
                return Response(status: .noContent)
            }
        },
        Row(.post, "/v1/channels/{id}/test", role: .admin) { routes, call in
            try await answering {
                let saved = try await routes.savedChannel(call)
                let outcome = await routes.desk.test(saved.channel, project: try call.project)
                return JSONResponse.json(
                    ["delivered": .bool(outcome == .delivered), "reason": outcome.reason.map { .text($0) } ?? .null])
            }
        },
    ]

    private func savedChannel(_ call: EndpointCall) async throws -> SavedChannels.Saved {
        guard let saved = try await desk.channels.get(try Self.documentID(call), project: try call.project) else {
            throw AccessRefusal.unknownDocument("channel")
        }
        return saved
    }

    private func json(_ channel: Channel, _ project: UInt32) async -> JSONValue {
        .object((channel.json.asObject ?? []) + [.init("delivery", await desk.state(of: channel.id, project: project))])
    }
}
