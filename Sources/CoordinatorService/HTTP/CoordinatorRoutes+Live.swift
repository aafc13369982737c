import FunnelModel
import FunnelProtocol
import HTTPTypes
import Hummingbird
import NIOCore
import RPC
import ServiceHost
import ServiceRuntime

/// The answer to a query now, and again whenever it changes, as server-sent events.
extension CoordinatorRoutes {
    static let live = [
        Row(.post, "/v1/live", role: .read, bodyBytesMax: { _ in Limits.definitionBytes }) { try await $0.follow($1) }
    ]

    private func follow(_ call: EndpointCall) async throws -> Response {
        let document = try await call.document()
        _ = try QueryRequest.parse(document, now: WallClock.now())
        let events = try hub.watch(
            .init(project: try call.project, body: document.encode()), mayLook: callers.validity(of: call.request, for: .read))
        return Response(
            status: .ok,
            headers: [
                .contentType: "text/event-stream", .cacheControl: "no-store", .xContentTypeOptions: "nosniff",
                // A proxy that buffers the stream would delay events.
                HTTPField.Name("X-Accel-Buffering")!: "no",
            ],
            body: .init(asyncSequence: events.map(\.bytes)))
    }
}
