import FunnelModel
import FunnelProtocol
import Hummingbird
import NIOCore
import RPC
import ServiceHost
import Testing

/// Answers that need no body come before it, and little of it is read afterwards.
@Suite(.timeLimit(.minutes(2)))
struct EarlyAnswerTests {
    private static let key = "a write key that is long"

    private static func routes(_ read: Counter) -> (ServiceRouter) -> Void {
        { router in
            let door = KeyDoor(guesses: KeyGuesses()) { KeyRing([.init(role: .write, project: 1, hash: KeyRing.hash(key))]) }
            router.post("/upload") { request, _ in
                _ = try door.admit(request, for: .write)
                let bytes = try await ReceivedBody.read(request, limit: 1 << 20).content()
                read.add(bytes.count)
                return JSONResponse.text("\(bytes.count)\n")
            }
        }
    }

    private let auth = "Authorization: Bearer \(key)"

    @Test func aRefusedBodyIsNotReadToItsEnd() async throws {
        let door = HTTPPortState()
        let read = Counter()
        try await withEdge(door, Self.routes(read)) { [auth] port in
            for (status, path, fields) in [
                (401, "/upload", "Content-Length: 10000000000"), (401, "/upload", "Transfer-Encoding: chunked"),
                (413, "/upload", "\(auth)\r\nContent-Length: 10000000000"), (404, "/nothing", "Content-Length: 10000000000"),
                (405, "/healthz", "Content-Length: 10000000000"),
            ] {
                let peer = try await RawHTTP(port)
                await peer.post(path, fields)
                let isAnswered = await eventually { peer.statuses == [status] }
                #expect(isAnswered, "\(status): \(peer.text)")
                #expect(peer.text.lowercased().contains("connection: close"))
                // A sender that goes on all the same: cut after what sockets hold, and a little.
                var sent = 0
                let chunk = ByteBuffer(string: "10000\r\n" + String(repeating: "x", count: 1 << 16) + "\r\n")
                while sent < 400 << 20, await peer.send(chunk) { sent += chunk.readableBytes }
                #expect(sent < 64 << 20)
                let isOver = await eventually { peer.isOver }
                #expect(isOver)
            }
            #expect(read.value == 0)
            #expect(door.refusals[.notAuthenticated] == 2 && door.refusals[.tooLarge] == 1)
        }
    }

    @Test func continueComesOnlyAfterTheChecks() async throws {
        let read = Counter()
        try await withEdge(HTTPPortState(), Self.routes(read)) { [auth] port in
            for (statuses, fields) in [
                ([401], "Content-Length: 5"), ([413], "\(auth)\r\nContent-Length: 1048577"), ([100], "\(auth)\r\nContent-Length: 5"),
            ] {
                let peer = try await RawHTTP(port)
                await peer.post("/upload", fields, "Expect: 100-continue")
                let isAnswered = await eventually { peer.statuses == statuses }
                #expect(isAnswered, "\(peer.text)")
                guard statuses == [100] else { continue }
                await peer.send("hello")
                let isDone = await eventually { peer.statuses == [100, 200] }
                #expect(isDone)
                // And the connection goes on.
                await peer.post("/upload", auth, "Content-Length: 2")
                await peer.send("hi")
                let isSecond = await eventually { peer.statuses == [100, 200, 200] }
                #expect(isSecond)
                await peer.close()
            }
            #expect(read.value == 7)
        }
    }

    @Test func aSmallRefusedRequestKeepsItsConnection() async throws {
        try await withEdge(HTTPPortState(), Self.routes(Counter())) { [auth] port in
            let peer = try await RawHTTP(port)
            for _ in 0..<3 { await peer.send("POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nhi") }
            await peer.send("POST /upload HTTP/1.1\r\nHost: localhost\r\n\(auth)\r\nContent-Length: 2\r\n\r\nhi")
            let areAnswered = await eventually { peer.statuses == [401, 401, 401, 200] }
            #expect(areAnswered, "\(peer.text)")
            await peer.close()
        }
    }

    @Test func otherMethodsOfKnownPathsAre405() async throws {
        try await withEdge(HTTPPortState()) { router in
            router.get("/things/{id}") { _, _ in JSONResponse.text("one\n") }
            router.put("/things/{id}") { _, _ in JSONResponse.text("two\n") }
            router.on("/files/**", method: .get) { _, _ in JSONResponse.text("three\n") }
        } _: { port in
            for (request, status, allow) in [
                ("DELETE /things/7", 405, "allow: GET, HEAD, PUT"), ("POST /files/a/b", 405, "allow: GET, HEAD"),
                ("PUT /healthz", 405, "allow: GET, HEAD"),
                ("GET /things/7", 200, ""), ("GET /files/a/b", 200, ""), ("HEAD /things/7", 200, ""), ("GET /nothing", 404, ""),
                ("DELETE /things", 404, ""),
            ] {
                let peer = try await RawHTTP(port)
                await peer.send("\(request) HTTP/1.1\r\nHost: localhost\r\n\r\n")
                let isAnswered = await eventually { peer.statuses == [status] }
                #expect(isAnswered, "\(request): \(peer.text)")
                #expect(allow.isEmpty || peer.text.lowercased().contains(allow.lowercased() + "\r\n"), "\(request): \(peer.text)")
                await peer.close()
            }
        }
    }

    @Test func errorDocumentsAreBounded() {
        let faults =
            (0..<50_000).map { FieldFault("field \($0)", "is not a known member") } + [
                FieldFault(String(repeating: "x", count: 1 << 20), "long")
            ]
        let problem = ProtocolError(.invalidQuery, "faults", faults: faults).problem
        #expect(problem["errors"]?.asArray?.count == 1_000)
        #expect(problem["errors_left_out"] == 49_001)
        let one = ProtocolError(.invalidQuery, "fault", faults: Array(faults.suffix(1))).problem
        #expect(one.encode().count < 6_000 && one["errors_left_out"] == nil)
    }
}
