import FunnelModel
import FunnelProtocol
import HTTPTypes
import Hummingbird
import NIOCore
import RPC
import ServiceHost
import ServiceRuntime

/// `POST /v1/live`: the answer to a query now, and again whenever it changes, as server-sent events.
struct LiveRoutes {
    let callers: Callers
    let hub: LiveHub

    func add(to router: ServiceRouter) {
        router.post("/v1/live") { request, _ in
            let project = try callers.admit(request, for: .read).project
            let document = try JSONParser.parse(try await ReceivedBody.read(request, limit: Limits.definitionBytes).content())
            _ = try QueryRequest.parse(document, now: WallClock.now())
            let hasKey = request.headers[.authorization] != nil || callers.keys.isOpen
            let token = callers.token(request)
            let events = try hub.watch(.init(project: project, body: document.encoded)) { [callers] in
                guard !hasKey else { return true }
                return callers.sessions.hash(of: token) != nil
            }
            return Response(
                status: .ok,
                headers: [
                    .contentType: "text/event-stream", .cacheControl: "no-store", .xContentTypeOptions: "nosniff",
                    // A proxy that gathers the stream would hold events back.
                    HTTPField.Name("X-Accel-Buffering")!: "no",
                ],
                body: .init(asyncSequence: events.map(\.bytes)))
        }
    }
}
