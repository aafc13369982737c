import Foundation
import FunnelModel
import FunnelProtocol
import HTTPTypes
import Hummingbird
import ServiceHost
import ServiceRuntime

/// Discovery: event names, properties, and values of properties.
extension CoordinatorRoutes {
    func addDiscovery(to router: ServiceRouter) {
        router.get("/v1/events") { request, context in try await discover(.events, request, context) }
        router.get("/v1/properties") { request, context in try await discover(.properties, request, context) }
        router.get("/v1/properties/{name}/values") { request, context in
            // Names may hold any character, so they come encoded.
            let name = context.parameters.get("name")?.removingPercentEncoding ?? ""
            return try await discover(.values(property: ByteString(name)), request, context)
        }
    }

    private func discover(_ subject: DiscoveryRequest.Subject, _ request: Request, _ context: ServiceContext) async throws -> Response {
        let project = try admit(request, for: .read)
        let parameters = request.uri.queryParameters.map { (name: String($0.key), value: String($0.value)) }
        let asked = try DiscoveryRequest.parse(subject, parameters)
        let answer = try await engine.tally.count(project) {
            try await context.whileCallerWaits { try await engine.discover(asked, project: project).json }
        }
        return JSONResponse.json(answer)
    }
}
