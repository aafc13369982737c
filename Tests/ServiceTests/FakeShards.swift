import FunnelModel
import FunnelProtocol
import IngestService
import Logging
import NIOCore
import NIOPosix
import RPC

/// Servers that answer appends as a test specifies, each on a free port of this machine, and a router that sends to them.
final class FakeShards: Sendable {
    struct Sent: Sendable {
        var shard: Int
        var project: UInt32
        var append: ShardAppend
    }

    /// The answer of a shard; it may throw a `ProtocolError`.
    typealias Answer = @Sendable (Sent) async throws -> AppendOutcome

    static let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    private static let cluster = ClusterState(id: 7, epoch: 1)

    let router: ShardRouter
    private let servers: [TransportServer]
    private let record: Shared<[Sent]>
    let map: ClusterMap

    /// All appends so far, in order of arrival.
    var sent: [Sent] { record.value }

    private init(_ router: ShardRouter, _ servers: [TransportServer], _ map: ClusterMap, _ record: Shared<[Sent]>) {
        (self.router, self.servers, self.map, self.record) = (router, servers, map, record)
    }

    /// Runs `body` with shards that the router knows.
    /// - Parameters:
    ///   - time: time of the router; nil is the machine's.
    ///   - problems: why a shard takes no appends, by number.
    ///   - answer: by default all rows are accepted.
    static func with(
        _ count: Int, budgetBytes: Int = 256 << 20, time: ManualTime? = nil, problems: Shared<[Int: String]> = Shared([:]),
        answer: @escaping Answer = { AppendOutcome(accepted: $0.append.batch.count) }, _ body: (FakeShards) async throws -> Void
    ) async throws {
        let record = Shared([Sent]())
        var servers: [TransportServer] = []
        var shards: [ClusterMap.Shard] = []
        for number in 0..<count {
            let server = server(number, problems) { sent in
                record.change { $0.append(sent) }
                return try await answer(sent)
            }
            let (host, port) = try await server.start()
            servers.append(server)
            shards.append(.init(id: number, host: host, port: port))
        }
        let router = router(budgetBytes: budgetBytes, time: time)
        let map = ClusterMap(clusterID: cluster.id, epoch: cluster.epoch, shards: shards)
        await router.use(map)
        let fake = FakeShards(router, servers, map, record)
        do { try await body(fake) } catch {
            await fake.close()
            throw error
        }
        await fake.close()
    }

    /// A router without a map.
    static func router(budgetBytes: Int = 256 << 20, time: ManualTime? = nil) -> ShardRouter {
        let client = ServiceSelf(role: .client, secret: []) { cluster }
        return ShardRouter(budgetBytes: budgetBytes, logger: quiet, now: { time?.now ?? .now }) { shard in
            ShardLink(shard, .shard(shard.id) { 0 }, own: { cluster }, logger: quiet) { expected, connections in
                FrameClient(
                    name: shard.name, host: shard.host, port: shard.port, service: client, expecting: expected,
                    group: MultiThreadedEventLoopGroup.singleton, tls: nil, connections: connections, logger: quiet)
            }
        }
    }

    private static func server(_ number: Int, _ problems: Shared<[Int: String]>, answer: @escaping Answer) -> TransportServer {
        let service = ServiceSelf(role: .shard, secret: []) { cluster }
        let routes: [FrameServer.Route] = [
            .init(.identity, .anyone) { call in
                let identity = PeerIdentity(
                    role: .shard, shard: number, shardCount: 0, cluster: cluster, problem: problems.value[number], instance: "",
                    version: "test")
                var writer = call.writer()
                try await writer.send(.identity, identity.body)
                try await writer.end(rows: 1)
            },
            .init(.shardAppend, .anyone) { call in
                let append = try ShardAppend(body: call.frame.body)
                let outcome = try await answer(Sent(shard: number, project: call.frame.context.project, append: append))
                var writer = call.writer()
                try await writer.send(.appendResult, outcome.body)
                try await writer.end(rows: outcome.accepted)
            },
        ]
        return TransportServer(
            group: MultiThreadedEventLoopGroup.singleton, host: "127.0.0.1", port: 0, tls: nil, limits: TransportLimits(), logger: quiet,
            handler: FrameServer(service, routes: routes, logger: quiet))
    }

    private func close() async {
        await router.shutdown()
        for server in servers { await server.shutdown(grace: .zero) }
    }
}
