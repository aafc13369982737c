/// An address for people and URLs: an IPv6 address is in brackets.
package func addressText(_ host: String, _ port: Int) -> String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

/// The form of a cluster id, lineage or data id that people read: hexadecimal, without leading zeros.
package func idText(_ id: UInt64) -> String { String(id, radix: 16) }

/// Which shard owns which bucket. An epoch is the number of one assignment; an answer never mixes epochs.
package struct ClusterMap: Equatable, Sendable {
    package var clusterID: UInt64
    package var epoch: UInt32
    package var shards: [Shard]

    package struct Shard: Equatable, Sendable {
        package var id: Int
        package var host: String
        package var port: Int

        package var name: String { Self.name(id) }
        /// Where it listens for wire calls, `host:port`.
        package var address: String { addressText(host, port) }

        /// The name of a shard in answers, errors, logs and metrics.
        package static func name(_ id: Int) -> String { "shard-\(id)" }

        package init(id: Int, host: String, port: Int) {
            self.id = id
            self.host = host
            self.port = port
        }
    }

    package init(clusterID: UInt64, epoch: UInt32, shards: [Shard]) {
        self.clusterID = clusterID
        self.epoch = epoch
        self.shards = shards
    }

    /// The bucket of a user. All events of a bucket are on one shard.
    package static func bucket(ofUser user: ByteString) -> Int { bucket(of: XXH64.hash(user.bytes)) }

    /// The bucket of a user whose id has this hash (XXH64, seed 0).
    package static func bucket(of hash: UInt64) -> Int { Int(truncatingIfNeeded: hash % UInt64(Limits.buckets)) }

    /// The buckets of a shard. Each shard has a contiguous range, of sizes as equal as possible: shard `s` of `n` has `s*1024/n
    /// ..< (s+1)*1024/n`.
    package static func buckets(ofShard index: Int, of count: Int) -> Range<Int> {
        (index * Limits.buckets / count)..<((index + 1) * Limits.buckets / count)
    }

    /// The index in `shards` of a bucket's owner: the only `s` with `s*1024/n <= bucket < (s+1)*1024/n`, both rounded down.
    package func owner(ofBucket bucket: Int) -> Int { ((bucket + 1) * shards.count - 1) / Limits.buckets }
}
