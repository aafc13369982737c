import Foundation
import ServiceHost
import FunnelModel
import FunnelProtocol
import ServiceRuntime
import HTTPTypes
import Hummingbird

/// Times between steps, one user's explanation, and what there is to ask about.
extension CoordinatorRoutes {
    func addPeople(to router: ServiceRouter) {
        router.post("/v1/query/times") { request, context in
            try await answer(request, context) { try await engine.times(try TimesRequest.parse($0, now: $1), project: $2).json }
        }
        router.post("/v1/query/explain") { request, context in
            try await answer(request, context) { try await engine.explain(try ExplainRequest.parse($0, now: $1), project: $2).json }
        }
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
