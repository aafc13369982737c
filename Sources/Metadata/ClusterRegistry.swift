import FunnelModel
import FunnelProtocol
import Synchronization

/// The cluster snapshot: map, keys and data ids. It is made at the first start and compared with the configuration at later ones.
package final class ClusterRegistry: Sendable {
    private let ending = Atomic<Bool>(false)
    private let store: any MetadataStore
    /// The snapshot that services get; nil before the first one is stored.
    private let current = Mutex<ClusterSnapshot?>(nil)
    private static let snapshotKey = "cluster/snapshot"
    /// Limit of the revisions that services may name; no counter gets there.
    private static let revisionsEnd: UInt64 = 1 << 62

    package init(_ store: any MetadataStore) { self.store = store }

    package var state: ClusterState { current.withLock { $0?.state } ?? ClusterState() }

    /// Brings the stored snapshot up to date with the configured shards and keys, and returns it.
    ///
    /// - Parameter isCopy: the directory was copied, so the original may be in use: the snapshot gets a new lineage.
    /// - Throws: `InvalidDocument` if the number of shards is not the one the cluster was made with.
    package func configure(
        shards: [(host: String, port: Int)], keys: [ClusterSnapshot.Key], isCopy: Bool
    ) async throws -> ClusterSnapshot {
        let listed = shards.enumerated().map { ClusterMap.Shard(id: $0, host: $1.host, port: $1.port) }
        let stored = try await stored()
        if let stored, stored.map.shards.count != listed.count {
            throw InvalidDocument([
                FieldFault(
                    "--shards",
                    "names \(listed.count) shards, but this cluster was made with \(stored.map.shards.count): a user's events stay on the shard they were put on, and shards can't be added or removed. Start a new cluster in an empty data directory and load the events again"
                )
            ])
        }
        let map = ClusterMap(clusterID: stored?.map.clusterID ?? Self.draw(), epoch: stored?.map.epoch ?? 1, shards: listed)
        let kept = isCopy ? 0 : stored?.lineage ?? 0
        let wanted = ClusterSnapshot(
            revision: 0, lineage: kept == 0 ? Self.draw() : kept, map: map, keys: keys, dataIDs: stored?.dataIDs ?? [])
        if let stored, stored.lineage == wanted.lineage, stored.map == map, stored.keys == keys {
            current.withLock { $0 = stored }
            return stored
        }
        return try await write(wanted, over: stored?.revision ?? 0)
    }

    /// Stores the first snapshot of a new directory.
    /// - Parameter revision: the snapshot's revision will be greater.
    package func create(_ snapshot: ClusterSnapshot, above revision: UInt64) async throws -> ClusterSnapshot {
        try await store.raise(above: revision)
        return try await write(snapshot, over: 0)
    }

    /// Changes the cluster id of the stored snapshot and gives it a new lineage; does nothing if the id is the same or nothing is
    /// stored.
    package func rename(to cluster: UInt64) async throws {
        guard var snapshot = try await stored(), snapshot.map.clusterID != cluster else { return }
        let revision = snapshot.revision
        snapshot.map.clusterID = cluster
        snapshot.lineage = Self.draw()
        _ = try await write(snapshot, over: revision)
    }

    /// A random id for a cluster or a lineage, not 0.
    package static func draw() -> UInt64 {
        var random = SystemRandomNumberGenerator()
        return UInt64.random(in: 1...UInt64.max, using: &random)
    }

    private func write(_ snapshot: ClusterSnapshot, over revision: UInt64) async throws -> ClusterSnapshot {
        var snapshot = snapshot
        snapshot.revision = 0
        snapshot.revision = try await store.compareAndSet(Self.snapshotKey, expected: revision, value: snapshot.body)
        current.withLock { $0 = snapshot }
        return snapshot
    }

    /// The id of the data that a shard must have open; 0 = any.
    package func dataID(ofShard shard: Int) -> UInt64 { current.withLock { $0?.dataID(ofShard: shard) } ?? 0 }

    /// The result of `note`.
    package enum DataNote: Sendable {
        /// The id was known as the shard's.
        case same
        /// The id is stored as the shard's from now on.
        case taken
        /// Another id is the shard's, or there is no such shard.
        case refused
    }

    /// Stores the id of the data that a shard has open. From then on the shard must have it: answers from an empty disk would lack
    /// users.
    /// - Parameter mayReplace: the id may replace another one.
    package func note(dataID: UInt64, ofShard shard: Int, mayReplace: Bool) async throws -> DataNote {
        guard var snapshot = current.withLock({ $0 }), snapshot.map.shards.indices.contains(shard) else { return .refused }
        let known = snapshot.dataID(ofShard: shard)
        if known == dataID { return .same }
        guard known == 0 || mayReplace else { return .refused }
        if snapshot.dataIDs.isEmpty { snapshot.dataIDs = snapshot.map.shards.map { _ in 0 } }
        snapshot.dataIDs[shard] = dataID
        _ = try await write(snapshot, over: snapshot.revision)
        return .taken
    }

    /// The snapshot in the store; nil in a new directory.
    package func stored() async throws -> ClusterSnapshot? {
        guard let entry = try await store.get(Self.snapshotKey) else { return nil }
        var snapshot = try decoding("stored cluster snapshot") { () throws(ByteError) in try ClusterSnapshot(body: entry.value) }
        snapshot.revision = entry.revision
        return snapshot
    }

    /// Ends the waits in `snapshot(for:patience:)`; they return the current snapshot.
    package func endWaiting() { ending.store(true, ordering: .relaxed) }

    /// A long poll: the snapshot, once it differs from the one that the caller knows or `patience` is over. Nil if there is none.
    ///
    /// If the service knows a greater revision, or another snapshot of the same revision, this directory was restored to an earlier
    /// state. The snapshot then gets a new lineage and a revision above the service's, so that every service takes its keys and
    /// addresses.
    /// - Returns: the snapshot, and whether that has just happened.
    package func snapshot(
        for request: SnapshotRequest, patience: Duration
    ) async throws -> (snapshot: ClusterSnapshot?, wasBehind: Bool) {
        guard request.known < Self.revisionsEnd else {
            throw ProtocolError(.invalidMessage, "revision \(request.known) is over the limit of \(Self.revisionsEnd - 1)")
        }
        let end = ContinuousClock.now + patience
        // Every write to the store has a revision, so the newest of all is watched. Watching the snapshot's would end every wait at
        // the next other write.
        var seen = request.known
        while true {
            guard let found = try await stored() else { return (nil, false) }
            let isOfOtherLineage = request.origin.map { $0.lineage != found.lineage } ?? false
            if found.revision > request.known || isOfOtherLineage { return (found, false) }
            let isOther = request.origin.map { $0 != SnapshotRequest.Origin(found) } ?? false
            if request.known > found.revision || isOther {
                if let raised = try await raise(found, above: request.known) { return (raised, true) }
                continue
            }
            let left = end - ContinuousClock.now
            if left <= .zero || Task.isCancelled || ending.load(ordering: .relaxed) { return (found, false) }
            seen = await store.watch(after: seen, patience: min(left, .milliseconds(500)))
        }
    }

    /// Writes the snapshot under a new lineage and above `revision`; nil if another call has just done so.
    private func raise(_ snapshot: ClusterSnapshot, above revision: UInt64) async throws -> ClusterSnapshot? {
        var next = snapshot
        next.lineage = Self.draw()
        try await store.raise(above: revision)
        do {
            return try await write(next, over: snapshot.revision)
        } catch is RevisionConflict {
            return nil
        }
    }
}
