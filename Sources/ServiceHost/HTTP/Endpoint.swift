import FunnelModel
import FunnelProtocol
import HTTPTypes
import Hummingbird
import RPC

/// One HTTP operation of a service: its route, the key it needs and how it answers. A service's table of endpoints is the only list
/// of its routes; `openapi.yaml` describes the same operations, and a test compares them.
///
/// `Host` has what the answers are made with.
package struct Endpoint<Host: Sendable>: Sendable {
    package let method: HTTPRequest.Method
    /// May have parameters: `/v1/funnels/{id}`.
    package let path: String
    /// The role of the key; nil for an endpoint without one.
    package let role: KeyRole?
    /// Whether `answer` checks the key, which may be elsewhere than in `Authorization: Bearer`.
    package let findsKey: Bool
    /// The maximum length of a request's body, decompressed; 0 if none is read.
    let bodyBytesMax: @Sendable (Host) -> Int
    let answer: @Sendable (Host, EndpointCall) async throws -> Response

    package init(
        _ method: HTTPRequest.Method, _ path: String, role: KeyRole?, findsKey: Bool = false,
        bodyBytesMax: @escaping @Sendable (Host) -> Int = { _ in 0 },
        answer: @escaping @Sendable (Host, EndpointCall) async throws -> Response
    ) {
        self.method = method
        self.path = path
        self.role = role
        self.findsKey = findsKey
        self.bodyBytesMax = bodyBytesMax
        self.answer = answer
    }
}

/// One request to an endpoint; its key is checked.
package struct EndpointCall: Sendable {
    package let request: Request
    package let context: ServiceContext
    package let bodyBytesMax: Int
    private let principal: KeyRing.Principal?

    init(_ request: Request, _ context: ServiceContext, bodyBytesMax: Int, _ principal: KeyRing.Principal?) {
        self.request = request
        self.context = context
        self.bodyBytesMax = bodyBytesMax
        self.principal = principal
    }

    /// The owner of the request's key. Throws `.notAuthenticated` if the endpoint has no role.
    package var caller: KeyRing.Principal {
        get throws(ProtocolError) {
            guard let principal else { throw ProtocolError(.notAuthenticated, "this endpoint knows no caller") }
            return principal
        }
    }

    /// The same call, with its caller found by the endpoint.
    package func of(_ principal: KeyRing.Principal) -> EndpointCall {
        EndpointCall(request, context, bodyBytesMax: bodyBytesMax, principal)
    }

    package var project: UInt32 { get throws(ProtocolError) { try caller.project } }

    /// The body as JSON.
    package func document() async throws -> JSONValue {
        try JSONParser.parse(try await ReceivedBody.read(request, limit: bodyBytesMax).content())
    }
}

extension ServiceRouter {
    /// Adds the routes of the endpoints. `admit` checks the key of a request before its body is read.
    package func add<Host>(
        _ endpoints: [Endpoint<Host>], of host: Host,
        admit: @escaping @Sendable (Request, KeyRole) throws -> KeyRing.Principal
    ) {
        for endpoint in endpoints {
            on(RouterPath(endpoint.path), method: endpoint.method) { request, context in
                let principal = endpoint.findsKey ? nil : try endpoint.role.map { try admit(request, $0) }
                let call = EndpointCall(request, context, bodyBytesMax: endpoint.bodyBytesMax(host), principal)
                return try await endpoint.answer(host, call)
            }
        }
    }
}
