import FunnelModel
import FunnelProtocol
import HTTPTypes
import Hummingbird
import RPC
import ServiceHost
import ServiceRuntime

/// Signing in and out of the dashboard with a key.
struct SessionRoutes {
    let callers: Callers
    /// Cookies go over TLS only.
    let isSecure: Bool

    private static let bodyMax = 4_096

    func add(to router: ServiceRouter) {
        router.get("/v1/session") { request, _ in
            JSONResponse.json(state(try? callers.admit(request, for: .read)))
        }
        router.post("/v1/session") { request, _ in try await signIn(request) }
        router.delete("/v1/session") { request, _ in
            try callers.door.requireOwnPage(request)
            callers.sessions.end(callers.token(request))
            var response = Response(status: .noContent)
            response.setCookie(cookie("", seconds: 0))
            return response
        }
    }

    private func signIn(_ request: Request) async throws -> Response {
        try callers.door.requireOwnPage(request)
        var reader = FieldReader(try JSONParser.parse(try await ReceivedBody.read(request, limit: Self.bodyMax).content()))
        let key = reader.string("key")
        if key == nil { reader.fault("key", "is required") }
        reader.rejectUnknown()
        guard let key, reader.faults.isEmpty else { throw InvalidDocument(reader.faults) }
        let hash = KeyRing.hash(key.string)
        let principal = try callers.door.admit(key: key.string, for: .read)
        callers.sessions.end(callers.token(request))
        var response = JSONResponse.json(state(principal))
        response.setCookie(cookie(callers.sessions.begin(hash: hash), seconds: Int(Sessions.lifetime.components.seconds)))
        return response
    }

    private func state(_ principal: KeyRing.Principal?) -> JSONValue {
        [
            "keys_needed": .bool(!callers.keys.isOpen), "signed_in": .bool(principal != nil && !callers.keys.isOpen),
            "role": principal.map { .text("\($0.role)") } ?? .null, "project": principal.map { .count(Int($0.project)) } ?? .null,
        ]
    }

    private func cookie(_ value: String, seconds: Int) -> Cookie {
        Cookie(name: callers.cookie, value: value, maxAge: seconds, path: "/", secure: isSecure, httpOnly: true, sameSite: .strict)
    }
}
