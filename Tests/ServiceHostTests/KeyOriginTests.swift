import FunnelProtocol
import HTTPTypes
import Hummingbird
import RPC
import ServiceHost
import Testing

/// Which pages a key with a list of origins is accepted from, and where in a request a key may be.
@Suite(.timeLimit(.minutes(2)))
struct KeyOriginTests {
    private static let drawn: [KeyRole: APIKeyText] = {
        var random = SystemRandomNumberGenerator()
        return Dictionary(uniqueKeysWithValues: KeyRole.allCases.map { ($0, APIKeyText(drawing: $0, from: &random)) })
    }()

    private static func text(_ role: KeyRole) -> String { drawn[role]?.text ?? "" }

    private static let door: KeyDoor = {
        let keys = drawn.values.map { text in
            CreatedKey(
                id: text.id, role: text.role, project: 1, hash: KeyRing.hash(text.text),
                origins: text.role == .write ? ["https://shop.example"] : [])
        }
        let ring = KeyRing([.init(role: .read, project: 1, hash: [1])], created: CreatedKeys(keys))
        return KeyDoor(guesses: KeyGuesses()) { ring }
    }()

    /// `POST /header` has its key in `Authorization`; `/url` and `/body` say so of theirs, which is that of the role in the query.
    private static func routes(_ router: ServiceRouter) {
        router.post("/header") { request, _ in
            _ = try door.admit(request, for: .write)
            return JSONResponse.text(door.admitAtOnce(request.head, for: .write) == nil ? "slow\n" : "at once\n")
        }
        for (path, place) in [("/url", KeyDoor.KeyPlace.url), ("/body", .body)] {
            router.post(RouterPath(path)) { request, _ in
                let role = KeyRole(name: request.uri.query ?? "") ?? .write
                _ = try door.admit(key: text(role), in: place, of: request, for: .write)
                return JSONResponse.text("done\n")
            }
        }
        router.post("/none") { _, _ in
            _ = try door.admit(key: text(.write), for: .write)
            return JSONResponse.text("done\n")
        }
    }

    private static func answer(_ port: Int, _ path: String, _ fields: String...) async throws -> (status: Int, text: String) {
        let peer = try await RawHTTP(port)
        await peer.send("POST \(path) HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n" + fields.map { $0 + "\r\n" }.joined() + "\r\n")
        let isAnswered = await eventually { !peer.statuses.isEmpty }
        #expect(isAnswered)
        await peer.close()
        return (peer.statuses.first ?? 0, peer.text)
    }

    @Test func theOriginIsThatOfTheHeaders() async throws {
        let key = "Authorization: Bearer \(Self.text(.write))"
        try await withEdge(HTTPPortState(), Self.routes) { port in
            for fields in [
                "Origin: https://shop.example", "Referer: https://shop.example/cart?item=1", "Referer: https://shop.example",
                "Origin: https://shop.example\r\nReferer: https://evil.example/",
            ] {
                let answer = try await Self.answer(port, "/header", key, fields)
                #expect(answer.status == 200 && answer.text.hasSuffix("at once\n"), "\(fields): \(answer)")
                let body = try await Self.answer(port, "/body?write", fields)
                #expect(body.status == 200, "\(fields)")
            }
            for fields in [
                "X-Other: 1", "Origin: null", "Origin: https://evil.example", "Origin: https://shop.example.evil",
                "Origin: http://shop.example",
                "Referer: https://evil.example/https://shop.example", "Referer: https://shop.example@evil.example/",
                "Referer: shop.example",
                "Origin: https://evil.example\r\nReferer: https://shop.example/",
                "Origin: https://shop.example\r\nOrigin: https://evil.example",
            ] {
                let status = try await Self.answer(port, "/header", key, fields).status
                #expect(status == 403, "\(fields)")
                let inBody = try await Self.answer(port, "/body?write", fields).status
                #expect(inBody == 403, "\(fields)")
            }
            let unknown = try await Self.answer(port, "/none", "Origin: https://shop.example").status
            #expect(unknown == 403)
        }
    }

    @Test func inAURLWriteKeysAloneAreAccepted() async throws {
        try await withEdge(HTTPPortState(), Self.routes) { port in
            let origin = "Origin: https://shop.example"
            let statuses = try await [
                Self.answer(port, "/url?write", origin).status, Self.answer(port, "/url?admin", origin).status,
                Self.answer(port, "/url?read", origin).status, Self.answer(port, "/body?admin", origin).status,
            ]
            #expect(statuses == [200, 403, 403, 200])
        }
    }
}
