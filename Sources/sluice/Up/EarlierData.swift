import EventStorage
import Foundation
import FunnelModel
import FunnelProtocol
import Metadata

/// The data that an earlier `sluice up` left in its directory.
struct EarlierData {
    private let directory: String
    private let shards: Int

    init(_ directory: String, shards: Int) {
        self.directory = directory
        self.shards = shards
    }

    /// Why the cluster must not start on the data; nil if it may. A missing part would start empty, and answers would lack its
    /// events without notice.
    /// - Parameter newShards: shards without data are meant to start empty.
    func problem(newShards: Bool) async -> String? {
        if !newShards, let one = await others().first {
            return lost.contains(one)
                ? "\(path(one)) is missing or empty, and the coordinator knows its data: \(Self.advice(one))"
                : "\(path(one)) holds other data than the coordinator knows: \(Self.advice(one))"
        }
        let coordinator = directory + "/coordinator"
        let hasCoordinator = ["CLUSTER", "metadata.sqlite"].contains { FileManager.default.fileExists(atPath: "\(coordinator)/\($0)") }
        let full = (0..<shards).filter(hasRows)
        if full.isEmpty, !hasCoordinator, FileManager.default.fileExists(atPath: "\(directory)/ingest/cluster.snapshot") {
            return """
                \(directory)/ingest is of a cluster whose coordinator and shards are missing from \(directory): put them back, or \
                remove \(directory)/ingest to begin a new cluster
                """
        }
        // With another number of shards than the data was made with, the coordinator refuses to start, with its own message.
        guard let first = full.first, (try? ShardStore.identity(directory: path(first), files: POSIXFileSystem()))??.shardCount == shards
        else { return nil }
        guard hasCoordinator else {
            let there = (0..<shards).filter { !lost.contains($0) }.map(path).joined(separator: ",")
            let gone = lost.isEmpty ? "" : " --lost-shards \(lost.map(String.init).joined(separator: ","))"
            return """
                \(coordinator) is missing or empty, and \(path(first)) holds events. Put it back, or rebuild it: \
                sluice cluster recover --shards \(there)\(gone) --data \(coordinator)
                """
        }
        let mayBeginEmpty = await recoveredAsLost()
        guard let one = lost.first(where: { !mayBeginEmpty.contains($0) }), !newShards else { return nil }
        return "\(path(one)) is missing or empty, and \(path(first)) holds events: \(Self.advice(one))"
    }

    /// Shards without data.
    private var lost: [Int] {
        (0..<shards).filter { shard in
            let names = (try? FileManager.default.contentsOfDirectory(atPath: path(shard))) ?? []
            return !names.contains { $0 == "MANIFEST" || $0.hasPrefix("log-") || $0.hasPrefix("seg-") }
        }
    }

    private static func advice(_ shard: Int) -> String {
        "answers would lack users of shard \(shard). Put the right data back, or start once with --new-shards to go on with what is there"
    }

    /// What the coordinator knows of the cluster; nil without a database, or if the cluster has another number of shards.
    private func snapshot() async -> ClusterSnapshot? {
        let database = "\(directory)/coordinator/metadata.sqlite"
        guard FileManager.default.fileExists(atPath: database), let store = try? SQLiteMetadataStore(path: database) else { return nil }
        defer { try? store.close() }
        // The coordinator itself reports a fault of the database.
        guard let snapshot = try? await ClusterRegistry(store).stored(), snapshot.map.shards.count == shards else { return nil }
        return snapshot
    }

    /// Shards of `sluice cluster recover --lost-shards`, until the coordinator has started.
    private func recoveredAsLost() async -> [Int] {
        guard let snapshot = await snapshot() else { return [] }
        return snapshot.map.shards.filter { $0.host == Recover.unknownHost && snapshot.dataID(ofShard: $0.id) == 0 }.map(\.id)
    }

    /// Shards whose data are missing, or are not those that the coordinator knows.
    func others() async -> [Int] {
        guard let snapshot = await snapshot() else { return [] }
        let lost = lost
        return (0..<shards).filter { shard in
            let known = snapshot.dataID(ofShard: shard)
            if known == 0 { return false }
            if lost.contains(shard) { return true }
            // The programs themselves report faults of a shard's files, and a database of another cluster.
            let identity = (try? ShardStore.identity(directory: path(shard), files: POSIXFileSystem())) ?? nil
            guard identity?.clusterID == snapshot.map.clusterID else { return false }
            let found = try? ShardStore.dataID(directory: path(shard), files: POSIXFileSystem())
            return found.map { $0 != known && $0 != 0 } ?? false
        }
    }

    private func path(_ shard: Int) -> String { "\(directory)/shard-\(shard)" }

    private func hasRows(_ shard: Int) -> Bool {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path(shard))) ?? []
        return names.contains { name in
            if name.hasPrefix("seg-") { return true }
            guard name.hasPrefix("log-") else { return false }
            let size = try? FileManager.default.attributesOfItem(atPath: "\(path(shard))/\(name)")[.size] as? Int
            // A log without records is its header alone, 44 bytes.
            return (size ?? 0) > 64
        }
    }
}
