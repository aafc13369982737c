import FunnelProtocol
import HTTP2
import NIOCore
import NIOPosix
import RPC
import Testing

/// What is refused from a request's head alone, before any of its body.
@Suite(.timeLimit(.minutes(2)))
struct HeadCheckTests {
    private static let key = "a write key that is long"

    /// A service with one call for holders of keys, and one for shards.
    private func server(_ calls: Counter, ready: Bool = true) -> FrameServer {
        let keys = KeyRing([
            .init(role: .write, project: 1, hash: KeyRing.hash(Self.key)), .init(role: .read, project: 1, hash: KeyRing.hash("a read key")),
        ])
        let service = ServiceSelf(role: .ingest, secret: [1, 2, 3]) { ClusterState(id: 7, epoch: 1) }
        return FrameServer(
            service,
            routes: [
                .init(
                    .append,
                    .keys(.write) { () throws(ProtocolError) in
                        if !ready { throw ProtocolError(.notReady, "starting") }
                        return keys
                    }
                ) { call in
                    calls.add()
                    try await call.writer().end(rows: call.frame.body.count)
                },
                .init(.partialQuery, .services([.coordinator])) { call in
                    calls.add()
                    try await call.writer().end(rows: 0)
                },
            ], logger: quiet)
    }

    private func error(_ bytes: [UInt8]?) throws -> ProtocolError? {
        var reader = AnswerReader()
        reader.feed(bytes ?? [])
        do throws(ProtocolError) {
            while try reader.next() != nil {}
            try reader.finish()
            return nil
        } catch {
            return error
        }
    }

    @Test func strangersAreAnsweredBeforeTheirBodies() async throws {
        let calls = Counter()
        try await withServer(server(calls)) { server, port in
            try await withPeer(port) { peer in
                let cases: [(path: String, key: String?, code: ProtocolError.Code)] = [
                    ("append", nil, .notAuthenticated), ("append", "another key", .notAuthenticated), ("append", "a read key", .forbidden),
                    ("partial-query", Self.key, .notAuthenticated),
                ]
                for (path, key, code) in cases {
                    let stream = try await peer.open("/sluice/v1/\(path)", key.map { [("authorization", "Bearer \($0)")] } ?? [])
                    // Nothing of the body was sent, and none of it is awaited.
                    let isOver = await eventually { peer.seen.closed[stream] != nil }
                    #expect(isOver)
                    #expect(peer.seen.statuses[stream] == 200)
                    #expect(try error(peer.seen.bodies[stream])?.code == code)
                    #expect(peer.seen.closed[stream] == .noError)
                }
                for (path, fields, status) in [
                    ("/sluice/v1/nothing", [], 404),
                    ("/sluice/v1/append", [("content-length", "16777281"), ("authorization", "Bearer \(Self.key)")], 413),
                    ("/sluice/v1/hello", [("content-length", "4161")], 413),
                ] as [(String, [(String, String)], Int)] {
                    let stream = try await peer.open(path, fields)
                    let isOver = await eventually { peer.seen.closed[stream] != nil }
                    #expect(isOver)
                    #expect(peer.seen.statuses[stream] == status)
                }
                #expect(!peer.seen.isOver)
            }
            #expect(calls.value == 0 && server.stats.bodyBytes == 0)
            #expect(server.refusals[.notAuthenticated] == 3 && server.refusals[.forbidden] == 1)
            #expect(server.refusals[.tooLarge] == 2 && server.refusals[.request] == 1)
        }
    }

    @Test func holdersOfKeysGetThroughBesideThem() async throws {
        let calls = Counter()
        try await withServer(server(calls)) { _, port in
            let client = FrameClient(
                name: "ingest", host: "127.0.0.1", port: port, service: ServiceSelf(role: .client, secret: []) { ClusterState() },
                group: MultiThreadedEventLoopGroup.singleton, tls: nil, connections: 1, logger: quiet)
            // Large enough that the refusal arrives while the body is still on its way.
            let body = [UInt8]((0..<8 << 20).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 7) })
            for round in 0..<4 {
                await #expect(throws: ProtocolError.self) {
                    try await client.call(.append, body, authorization: "Bearer wrong \(round)", timeout: .seconds(20)) { _ in }
                }
                try await client.call(.append, body, authorization: "Bearer \(Self.key)", timeout: .seconds(20)) { _ in }
            }
            await client.shutdown()
            #expect(calls.value == 4)
        }
    }

    @Test func aServiceThatIsNotReadySaysSoAtOnce() async throws {
        let calls = Counter()
        try await withServer(server(calls, ready: false)) { _, port in
            try await withPeer(port) { peer in
                let stream = try await peer.open("/sluice/v1/append")
                let isOver = await eventually { peer.seen.closed[stream] != nil }
                #expect(isOver)
                #expect(try error(peer.seen.bodies[stream])?.code == .notReady)
            }
        }
    }

    @Test func aServiceThatHasProvenItsRoleGetsThrough() async throws {
        let calls = Counter()
        try await withServer(server(calls)) { _, port in
            for (role, secret, isLetIn) in [(Role.coordinator, [1, 2, 3], true), (.shard, [1, 2, 3], false), (.coordinator, [1], false)]
                as [(Role, [UInt8], Bool)]
            {
                let client = FrameClient(
                    name: "shard", host: "127.0.0.1", port: port,
                    service: ServiceSelf(role: role, secret: secret) { ClusterState(id: 7, epoch: 1) },
                    group: MultiThreadedEventLoopGroup.singleton, tls: nil, connections: 1, logger: quiet)
                let before = calls.value
                try? await client.call(.partialQuery, [1], timeout: .seconds(10)) { _ in }
                #expect(calls.value == before + (isLetIn ? 1 : 0))
                await client.shutdown()
            }
        }
    }

    /// Beside a body of every size, one byte too many.
    @Test func bodiesAreLimitedByTheirPath() async throws {
        try await withServer(server(Counter())) { server, port in
            try await withPeer(port) { peer in
                let stream = try await peer.open("/sluice/v1/hello")
                try await peer.send(stream, FrameHeader.size + 4_096)
                try await peer.send(stream, 1)
                let isOver = await eventually { peer.seen.closed[stream] != nil }
                #expect(isOver)
                #expect(peer.seen.statuses[stream] == 413)
                #expect(server.stats.bodyBytes == 0)
            }
        }
    }
}
