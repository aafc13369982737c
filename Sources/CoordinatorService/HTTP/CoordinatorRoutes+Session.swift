import FunnelModel
import FunnelProtocol
import HTTPTypes
import Hummingbird
import RPC
import ServiceHost
import ServiceRuntime

/// Signing in and out of the dashboard with a key.
extension CoordinatorRoutes {
    static let session = [
        Row(.get, "/v1/session", role: nil) { routes, call in
            JSONResponse.json(routes.state(try? routes.callers.admit(call.request, for: .read)))
        },
        Row(.post, "/v1/session", role: nil, bodyBytesMax: { _ in 4_096 }) { try await $0.signIn($1) },
        Row(.delete, "/v1/session", role: nil) { routes, call in
            try routes.callers.door.requireOwnPage(call.request)
            routes.callers.sessions.end(routes.callers.token(call.request))
            var response = Response(status: .noContent)
            response.setCookie(routes.cookie("", seconds: 0))
            return response
        },
    ]

    private func signIn(_ call: EndpointCall) async throws -> Response {
        try callers.door.requireOwnPage(call.request)
        var reader = FieldReader(try await call.document())
        let key = reader.string("key")
        if key == nil { reader.fault("key", "is required") }
        reader.rejectUnknown()
        guard let key, reader.faults.isEmpty else { throw InvalidDocument(reader.faults) }
        let principal = try callers.door.admit(key: key.string, for: .read)
        callers.sessions.end(callers.token(call.request))
        var response = JSONResponse.json(state(principal))
        let token = callers.sessions.begin(KeyRing.Credential(key.string))
        response.setCookie(cookie(token, seconds: Int(Sessions.lifetime.components.seconds)))
        return response
    }

    private func state(_ principal: KeyRing.Principal?) -> JSONValue {
        [
            "keys_needed": .bool(!callers.keys.isOpen), "signed_in": .bool(principal != nil && !callers.keys.isOpen),
            "role": principal.map { .text("\($0.role)") } ?? .null, "project": principal.map { .count(Int($0.project)) } ?? .null,
        ]
    }

    private func cookie(_ value: String, seconds: Int) -> Cookie {
        Cookie(name: callers.cookie, value: value, maxAge: seconds, path: "/", secure: Peer.isSecure, httpOnly: true, sameSite: .strict)
    }
}
