import FunnelModel
import FunnelProtocol
import Hummingbird
import ServiceHost

/// The events that ingests have taken and rejected lately.
extension CoordinatorRoutes {
    static let incoming = [
        Row(.get, "/v1/rejected", role: .read) { routes, call in
            let project = try call.project
            let parameters = call.request.uri.queryParameters.map { JSONValue.Member(ByteString(String($0.key)), .text(String($0.value))) }
            let request = try IncomingRequest.parse(.object(parameters))
            return JSONResponse.json(await routes.ingests.ask(request, project: project).json)
        }
    ]
}
