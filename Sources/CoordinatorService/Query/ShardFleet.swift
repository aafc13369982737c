import FunnelModel
import FunnelProtocol
import FunnelRPC
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

        var name: String { "shard-\(id)" }
    }

    let map: ClusterMap
    let links: [Link]

    init(_ map: ClusterMap, service: ServiceSelf, group: any EventLoopGroup, tls: TLSClientConfig?, logger: Logger) {
        self.map = map
        func client(_ shard: ClusterMap.Shard) -> FrameClient {
            FrameClient(
                name: "shard-\(shard.id)", host: shard.host, port: shard.port, service: service, group: group, tls: tls,
                connections: 1, logger: logger)
        }
        links = map.shards.map { shard in
            Link(
                id: shard.id, buckets: ClusterMap.buckets(ofShard: shard.id, of: map.shards.count),
                queries: client(shard), bulk: client(shard))
        }
    }

    func shutdown() async {
        for link in links {
            await link.queries.shutdown()
            await link.bulk.shutdown()
        }
    }
}
