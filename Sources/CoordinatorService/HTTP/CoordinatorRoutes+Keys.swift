import FunnelModel
import FunnelProtocol
import HTTPTypes
import Hummingbird
import Metadata
import RPC
import ServiceHost
import ServiceRuntime

/// Creating, listing and revoking API keys. An operator's key rules those of all projects, another admin key those of its own.
extension CoordinatorRoutes {
    static let keys = [
        Row(.get, "/v1/keys", role: .admin) { try await $0.listKeys($1) },
        Row(.post, "/v1/keys", role: .admin, bodyBytesMax: { _ in KeyRequest.bytesMax }) { try await $0.createKey($1) },
        Row(.delete, "/v1/keys", role: .admin) { routes, call in
            try await routes.revokeKey(try Self.parameter("id", of: call), call)
        },
        Row(.delete, "/v1/keys/{id}", role: .admin) { routes, call in
            try await routes.revokeKey(call.context.parameters.get("id"), call)
        },
    ]

    private func listKeys(_ call: EndpointCall) async throws -> Response {
        let project = try listedProject(call)
        return try await Self.answering {
            if let project, try await projects.get(project) == nil { throw AccessRefusal.unknownProject("\(project)") }
            let now = WallClock.now() / 1_000_000
            let keys = apiKeys.list(project: project).map { JSONValue.object(Self.members($0.record, lastUse: $0.lastUse, now: now)) }
            return JSONResponse.json(["keys": .array(keys)])
        }
    }

    /// The project whose keys or rules are asked for; nil for all.
    func listedProject(_ call: EndpointCall) throws -> UInt32? {
        let caller = try call.caller
        guard let asked = try Self.parameter("project", of: call) else { return caller.project }
        if asked == "all" {
            try caller.requireOperator()
            return nil
        }
        guard let number = UInt32(asked), number > 0 else {
            throw InvalidDocument([FieldFault("project", "must be the number of a project, or all")])
        }
        // Before it is looked for: who may not rule a project does not learn whether it exists.
        if number != caller.project { try caller.requireOperator() }
        return number
    }

    private func createKey(_ call: EndpointCall) async throws -> Response {
        let caller = try call.caller
        let request = try KeyRequest.parse(try await call.document(), now: WallClock.now())
        let project = request.project ?? caller.project
        if project != caller.project { try caller.requireOperator() }
        return try await Self.answering {
            guard try await projects.get(project) != nil else { throw AccessRefusal.unknownProject("\(project)") }
            let now = WallClock.now() / 1_000_000
            let (record, text) = try await apiKeys.create(request, project: project, by: caller, now: now)
            var members = Self.members(record, lastUse: nil, now: now)
            members.insert(.init("key", .text(text)), at: 1)
            return JSONResponse.json(.object(members), status: .created)
        }
    }

    private func revokeKey(_ id: String?, _ call: EndpointCall) async throws -> Response {
        guard let id else { throw InvalidDocument([FieldFault("id", "is required: the id of an API key")]) }
        let caller = try call.caller
        return try await Self.answering {
            try await apiKeys.revoke(id, project: caller.isOperator ? nil : caller.project, by: caller)
            return Response(status: .noContent)
        }
    }

    /// The only parameter that a request may have; nil if it is not given.
    private static func parameter(_ name: ByteString, of call: EndpointCall) throws(InvalidDocument) -> String? {
        let given = call.request.uri.queryParameters.map { JSONValue.Member(ByteString(String($0.key)), .text(String($0.value))) }
        var reader = FieldReader(.object(given))
        let value = reader.string(name)
        reader.rejectUnknown("parameter")
        guard reader.faults.isEmpty else { throw InvalidDocument(reader.faults) }
        return value?.string
    }

    private static func members(_ record: KeyRecord, lastUse: Int64?, now: Int64) -> [JSONValue.Member] {
        let key = record.key
        return [
            .init("id", .text(key.id)), .init("role", .text(key.role.name)), .init("project", .count(Int(key.project))),
            .init("name", record.name.map { .text($0) } ?? .null), .init("created_at", time(record.created)),
            .init("created_by", .text(record.creator)), .init("expires_at", key.expires.map(time) ?? .null),
            .init("last_used_at", lastUse.map { time($0 * 60) } ?? .null), .init("origins", .array(key.origins.map { .text($0) })),
            .init("state", key.isExpired(at: now) ? "expired" : "valid"),
        ]
    }

    /// - Parameter seconds: since 1970.
    static func time(_ seconds: Int64) -> JSONValue { .text(Timestamp.format(seconds * 1_000_000)) }

    /// Runs `body`. Refusals, which have no code of the binary protocol, become problem documents.
    static func answering(_ body: () async throws -> Response) async throws -> Response {
        do {
            return try await body()
        } catch let refusal as AccessRefusal {
            return refusal.response
        }
    }
}

extension AccessRefusal {
    /// RFC 9457 problem details.
    fileprivate var response: Response {
        let problem: JSONValue = [
            "type": .text("urn:sluice:\(name)"), "title": .text(name.replacing("_", with: " ")), "status": .count(httpStatus),
            "detail": .text(description),
        ]
        return JSONResponse.body(problem.encode(), type: "application/problem+json", status: .init(code: httpStatus))
    }
}
