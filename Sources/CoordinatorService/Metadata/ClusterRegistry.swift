import FunnelModel
import FunnelProtocol
import FunnelRPC
import Synchronization

/// The cluster map and the keys: made at the first start, compared with the configuration at every other.
final class ClusterRegistry: Sendable {
    private let ending = Atomic<Bool>(false)
    private let store: any MetadataStore
    private static let snapshotKey = "cluster/snapshot"

    init(_ store: any MetadataStore) { self.store = store }

    /// Takes the configured shards and keys into the stored snapshot.
    ///
    /// - Throws: `InvalidDocument` where the number of shards is not the one the cluster was made with.
    func configure(
        shards: [(host: String, port: Int)], keys: [ClusterSnapshot.Key]
    ) async throws -> ClusterSnapshot {
        var random = SystemRandomNumberGenerator()
        let listed = shards.enumerated().map { ClusterMap.Shard(id: $0, host: $1.host, port: $1.port) }
        let stored = try await snapshot()
        if let stored, stored.map.shards.count != listed.count {
            throw InvalidDocument([
                FieldFault(
                    "--shards",
                    "names \(listed.count) shards, but this cluster was made with \(stored.map.shards.count): a user's events stay on the shard they were put on, and shards can't be added or taken away. Start a new cluster in an empty data directory and load the events again")
            ])
        }
        let map = ClusterMap(
            clusterID: stored?.map.clusterID ?? UInt64.random(in: 1...UInt64.max, using: &random),
            epoch: stored?.map.epoch ?? 1, shards: listed)
        if let stored, stored.map == map, stored.keys == keys { return stored }
        let body = ClusterSnapshot(revision: 0, map: map, keys: keys).body
        let revision = try await store.compareAndSet(Self.snapshotKey, expected: stored?.revision ?? 0, value: body)
        return ClusterSnapshot(revision: revision, map: map, keys: keys)
    }

    func snapshot() async throws -> ClusterSnapshot? {
        guard let entry = try await store.get(Self.snapshotKey) else { return nil }
        var snapshot = try decoding("stored cluster snapshot") { () throws(ByteError) in try ClusterSnapshot(body: entry.value) }
        snapshot.revision = entry.revision
        return snapshot
    }

    /// Answers everybody who waits with what there is.
    func endWaiting() { ending.store(true, ordering: .relaxed) }

    /// The snapshot, once it is newer than `known` or `patience` is over.
    func snapshot(newerThan known: UInt64, patience: Duration) async throws -> ClusterSnapshot? {
        let end = ContinuousClock.now + patience
        // The snapshot's revision is one of many: what is watched is the newest write of all, or every other write
        // would end every wait at once.
        var seen = known
        while true {
            let current = try await snapshot()
            if let current, current.revision > known { return current }
            let left = end - ContinuousClock.now
            if left <= .zero || Task.isCancelled || ending.load(ordering: .relaxed) { return current }
            seen = await store.watch(after: seen, patience: min(left, .milliseconds(500)))
        }
    }
}
