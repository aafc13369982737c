import FunnelModel
import Glibc

/// The owner of a directory. The epoch rises with the cluster map; only a fork changes the cluster; the rest is fixed.
package struct StoreIdentity: Equatable, Sendable {
    package var clusterID: UInt64
    package var shard: Int
    package var shardCount: Int
    package var epoch: UInt32

    package init(clusterID: UInt64, shard: Int, shardCount: Int, epoch: UInt32) {
        self.clusterID = clusterID
        self.shard = shard
        self.shardCount = shardCount
        self.epoch = epoch
    }
}
