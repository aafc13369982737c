import FunnelModel
import FunnelProtocol
import FunnelRPC
import FunnelRuntime
import Logging
import NIOCore

/// The coordinator's connections to the shards of one map. Queries and lists don't share any, so that a long list can't
/// hold up a count.
final class ShardFleet: Sendable {
    struct Link: Sendable {
        let id: Int
        let buckets: Range<Int>
        let queries: FrameClient
        let bulk: FrameClient
        let watch: PeerWatch

        var name: String { "shard-\(id)" }
    }

    let map: ClusterMap
    let links: [Link]

    init(_ map: ClusterMap, service: ServiceSelf, group: any EventLoopGroup, tls: TLSClientConfig?, logger: Logger) {
        self.map = map
        func client(_ shard: ClusterMap.Shard, _ expected: ExpectedPeer?) -> FrameClient {
            FrameClient(
                name: "shard-\(shard.id)", host: shard.host, port: shard.port, service: service, expecting: expected, group: group,
                tls: tls, connections: 1, logger: logger)
        }
        links = map.shards.map { shard in
            let expected = ExpectedPeer.shard(shard.id)
            let watch = PeerWatch(
                name: "shard-\(shard.id)", client: client(shard, nil), expected: expected, own: service.cluster, logger: logger) { _ in }
            watch.start()
            return Link(
                id: shard.id, buckets: ClusterMap.buckets(ofShard: shard.id, of: map.shards.count),
                queries: client(shard, expected), bulk: client(shard, expected), watch: watch)
        }
    }

    func addMetrics(to metrics: Metrics) {
        for link in links {
            metrics.gauge("sluice_coordinator_shard_up", "1 where the shard can be reached", labels: [("shard", "\(link.id)")]) {
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
