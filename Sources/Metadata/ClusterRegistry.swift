import FunnelModel
import FunnelProtocol
import Synchronization

/// The cluster map and the keys: made at the first start, compared with the configuration at every other.
package final class ClusterRegistry: Sendable {
    private let ending = Atomic<Bool>(false)
    private let store: any MetadataStore
    /// The snapshot that services get; nil before the first one is stored.
    private let current = Mutex<ClusterSnapshot?>(nil)
    private static let snapshotKey = "cluster/snapshot"
    /// Revisions from here on nothing has counted up to.
    private static let revisionsEnd: UInt64 = 1 << 62

    package init(_ store: any MetadataStore) { self.store = store }

    package var state: ClusterState { current.withLock { $0?.state } ?? ClusterState() }

    /// Takes the configured shards and keys into the stored snapshot.
    ///
    /// - Parameter isCopy: the directory was copied, so that what is stored may be in use elsewhere: it goes on under a lineage
    ///   of its own.
    /// - Throws: `InvalidDocument` where the number of shards is not the one the cluster was made with.
    package func configure(
        shards: [(host: String, port: Int)], keys: [ClusterSnapshot.Key], isCopy: Bool
    ) async throws -> ClusterSnapshot {
        let listed = shards.enumerated().map { ClusterMap.Shard(id: $0, host: $1.host, port: $1.port) }
        let stored = try await stored()
        if let stored, stored.map.shards.count != listed.count {
            throw InvalidDocument([
                FieldFault(
                    "--shards",
                    "names \(listed.count) shards, but this cluster was made with \(stored.map.shards.count): a user's events stay on the shard they were put on, and shards can't be added or taken away. Start a new cluster in an empty data directory and load the events again"
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

    /// Writes a snapshot as that of a new directory.
    /// - Parameter revision: the snapshot's will be above it.
    package func create(_ snapshot: ClusterSnapshot, above revision: UInt64) async throws -> ClusterSnapshot {
        try await store.raise(above: revision)
        return try await write(snapshot, over: 0)
    }

    /// Makes what is stored another cluster's.
    package func rename(to cluster: UInt64) async throws {
        guard var snapshot = try await stored(), snapshot.map.clusterID != cluster else { return }
        let revision = snapshot.revision
        snapshot.map.clusterID = cluster
        snapshot.lineage = Self.draw()
        _ = try await write(snapshot, over: revision)
    }

    /// A number for a cluster or a lineage.
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

    /// Of the data that a shard must answer from; 0 where any will do.
    package func dataID(ofShard shard: Int) -> UInt64 { current.withLock { $0?.dataID(ofShard: shard) } ?? 0 }

    package enum DataNote: Sendable {
        /// They are the shard's, as was known.
        case same
        /// They are the shard's from now on.
        case taken
        /// Others are.
        case refused
    }

    /// Notes which data a shard has open, so that it answers from no others later: an empty disk would lack its users.
    /// - Parameter mayReplace: they may take the place of others.
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

    /// nil in a new directory.
    package func stored() async throws -> ClusterSnapshot? {
        guard let entry = try await store.get(Self.snapshotKey) else { return nil }
        var snapshot = try decoding("stored cluster snapshot") { () throws(ByteError) in try ClusterSnapshot(body: entry.value) }
        snapshot.revision = entry.revision
        return snapshot
    }

    /// Answers everybody who waits with what there is.
    package func endWaiting() { ending.store(true, ordering: .relaxed) }

    /// The snapshot, once it is another than the one known or `patience` is over; nil where there is none.
    ///
    /// A service that knows more than this directory, or something else by the same revision, shows that the directory was put back to an earlier state. Its snapshot
    /// then goes on under a new lineage and above what the service knows, so that every service takes its keys and addresses.
    /// - Returns: and whether that has just happened.
    package func snapshot(
        for request: SnapshotRequest, patience: Duration
    ) async throws -> (snapshot: ClusterSnapshot?, wasBehind: Bool) {
        guard request.known < Self.revisionsEnd else {
            throw ProtocolError(.invalidMessage, "revision \(request.known) is over the limit of \(Self.revisionsEnd - 1)")
        }
        let end = ContinuousClock.now + patience
        // The snapshot's revision is one of many: what is watched is the newest write of all, or every other write
        // would end every wait at once.
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

    /// nil where somebody else has just done it.
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
