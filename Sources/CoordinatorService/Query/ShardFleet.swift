import FunnelModel
import FunnelProtocol
import Logging
import NIOCore
import RPC
import ServiceRuntime

/// The coordinator's connections to the shards of one map. Queries and lists don't share any, so that a long list can't
/// hold up a count.
final class ShardFleet: Sendable {
    struct Link: Sendable {
        let id: Int
        let buckets: Range<Int>
        fileprivate let queries: FrameClient
        fileprivate let bulk: FrameClient
        let watch: PeerWatch

        var name: String { ClusterMap.Shard.name(id) }

        /// Calls the shard. Fails at once if the shard is known to be down.
        func call(
            _ path: CallPath, _ body: [UInt8], project: UInt32, request: UInt64 = 0, timeout: Duration
        ) async throws(ProtocolError) -> [UInt8] {
            try await watch.run { [queries] () async throws(ProtocolError) in
                try await queries.call(path, body, project: project, request: request, timeout: timeout)
            }
        }

        /// The same for an answer of many frames, on a separate connection.
        func list(
            _ path: CallPath, _ body: [UInt8], project: UInt32, request: UInt64, timeout: Duration
        ) async throws(ProtocolError) -> [[UInt8]] {
            try await watch.run { [bulk] () async throws(ProtocolError) in
                var frames: [[UInt8]] = []
                try await bulk.call(path, body, project: project, request: request, timeout: timeout) { frames.append($0) }
                return frames
            }
        }
    }

    let map: ClusterMap
    let links: [Link]

    /// Begins to watch the shards. `dataID` returns, by shard number, the id of the data that the shard must have open; 0 = any.
    init(
        _ map: ClusterMap, service: ServiceSelf, dataID: @escaping @Sendable (Int) -> UInt64, group: any EventLoopGroup,
        tls: TLSClientConfig?,
        logger: Logger
    ) {
        self.map = map
        func client(_ shard: ClusterMap.Shard, _ expected: ExpectedPeer?) -> FrameClient {
            FrameClient(
                name: shard.name, host: shard.host, port: shard.port, service: service, expecting: expected, group: group,
                tls: tls, connections: 1, logger: logger)
        }
        links = map.shards.map { shard in
            let expected = ExpectedPeer.shard(shard.id) { dataID(shard.id) }
            let watch = PeerWatch(
                name: shard.name, client: client(shard, nil), expected: expected, own: service.cluster, logger: logger, lateMax: 1)
            watch.start()
            return Link(
                id: shard.id, buckets: ClusterMap.buckets(ofShard: shard.id, of: map.shards.count),
                queries: client(shard, expected), bulk: client(shard, expected), watch: watch)
        }
    }

    func addMetrics(to metrics: Metrics) {
        for link in links {
            metrics.gauge("sluice_coordinator_shard_up", "1 if the shard can be reached", labels: [("shard", "\(link.id)")]) {
                if case .up = link.watch.condition { 1 } else { 0 }
            }
        }
    }

    func shutdown() async {
        for link in links {
            await link.watch.shutdown()
            await link.queries.shutdown()
            await link.bulk.shutdown()
        }
    }
}
