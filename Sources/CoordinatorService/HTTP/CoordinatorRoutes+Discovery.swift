import Foundation
import FunnelModel
import FunnelProtocol
import HTTPTypes
import Hummingbird
import ServiceHost
import ServiceRuntime

/// Discovery: event names, properties, and values of properties.
extension CoordinatorRoutes {
    static let discovery = [
        Row(.get, "/v1/events", role: .read) { try await $0.discover(.events, $1) },
        Row(.get, "/v1/properties", role: .read) { try await $0.discover(.properties, $1) },
        Row(.get, "/v1/properties/{name}/values", role: .read) { routes, call in
            // Names may hold any character, so they come encoded.
            let name = call.context.parameters.get("name")?.removingPercentEncoding ?? ""
            return try await routes.discover(.values(property: ByteString(name)), call)
        },
    ]

    private func discover(_ subject: DiscoveryRequest.Subject, _ call: EndpointCall) async throws -> Response {
        let project = try call.project
        let parameters = call.request.uri.queryParameters.map { (name: String($0.key), value: String($0.value)) }
        let asked = try DiscoveryRequest.parse(subject, parameters)
        let answer = try await engine.tally.count(project) {
            try await call.context.whileCallerWaits { try await engine.discover(asked, project: project).json }
        }
        return JSONResponse.json(answer)
    }
}
