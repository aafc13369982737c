import Foundation
import FunnelModel
import FunnelProtocol
import FunnelStorage
import Metadata

/// What an earlier `sluice up` has left in its directory.
struct EarlierData {
    private let directory: String
    private let shards: Int

    init(_ directory: String, shards: Int) {
        self.directory = directory
        self.shards = shards
    }

    /// Why nothing may start on it: what is missing would begin empty, and answers would lack its events without a word. Nil
    /// where all may start.
    /// - Parameter newShards: shards without data are meant to begin empty.
    func problem(newShards: Bool) async -> String? {
        if !newShards, let one = await knownAndLost() {
            return "\(path(one)) is missing or empty, and the coordinator knows its data: \(Self.advice(one))"
        }
        let full = (0..<shards).filter(hasRows)
        // Another number of shards than the data was made with: the coordinator refuses that by its own words.
        guard let first = full.first, (try? ShardStore.identity(directory: path(first), files: POSIXFileSystem()))??.shardCount == shards
        else { return nil }
        let coordinator = directory + "/coordinator"
        guard ["CLUSTER", "metadata.sqlite"].contains(where: { FileManager.default.fileExists(atPath: "\(coordinator)/\($0)") }) else {
            let all = (0..<shards).map(path).joined(separator: ",")
            return """
                \(coordinator) is missing or empty, and \(path(first)) holds events. Put it back, or rebuild it: \
                sluice cluster recover --shards \(all) --data \(coordinator)
                """
        }
        guard let one = lost.first, !newShards else { return nil }
        return "\(path(one)) is missing or empty, and \(path(first)) holds events: \(Self.advice(one))"
    }

    /// Shards without data.
    var lost: [Int] { (0..<shards).filter { !FileManager.default.fileExists(atPath: path($0) + "/MANIFEST") } }

    private static func advice(_ shard: Int) -> String {
        "answers would lack the users of shard \(shard). Put it back, or say --new-shards if it is to begin empty"
    }

    /// The first of the lost shards that the coordinator has met; nil where it has met none of them.
    private func knownAndLost() async -> Int? {
        let database = "\(directory)/coordinator/metadata.sqlite"
        guard !lost.isEmpty, FileManager.default.fileExists(atPath: database), let store = try? SQLiteMetadataStore(path: database) else {
            return nil
        }
        defer { try? store.close() }
        // What is wrong with the database is the coordinator's to say.
        guard let snapshot = try? await ClusterRegistry(store).stored(), snapshot.map.shards.count == shards else { return nil }
        return lost.first { snapshot.dataID(ofShard: $0) != 0 }
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
