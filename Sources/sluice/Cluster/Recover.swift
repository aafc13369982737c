import ArgumentParser
import Foundation
import FunnelModel
import FunnelProtocol
import Metadata
import ServiceRuntime

struct Recover: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Rebuild a lost coordinator directory from the shards.",
        discussion: """
            The cluster's id, its lineage and its map come from the shards. Saved funnels and API keys were only in the lost \
            directory: give the API keys to the coordinator again, and apply the definitions again. Give the wire address of a shard \
            that runs: it is asked with SLUICE_CLUSTER_SECRET, over TLS if SLUICE_TLS_CERT, SLUICE_TLS_KEY and SLUICE_TLS_CA are \
            set. Give the data directory of a shard that is stopped. Name shards whose data are lost too in --lost-shards: they \
            start empty, without --new-shards, and the events of their users are gone.

            Examples:
              sluice cluster recover --shards 10.0.0.6:8100,10.0.0.7:8101 \\
                --data /var/lib/sluice-coordinator
              sluice cluster recover --shards ./data/shard-0,./data/shard-1 \\
                --data ./data/coordinator
              sluice cluster recover --shards ./data/shard-0 --lost-shards 1 \\
                --data ./data/coordinator
            """)

    @Option(help: "All shards that have data, comma-separated, in any order: wire addresses host:port, or data directories.") var shards:
        String
    @Option(help: "Numbers of shards whose data are lost, comma-separated.") var lostShards = ""
    @Option(help: "The coordinator's data directory, to be rebuilt; it must hold no metadata.") var data: String

    /// The host of a shard whose address is not known, until the coordinator starts.
    static let unknownHost = "unknown.invalid"

    func run() async throws {
        let places = shards.split(separator: ",").map { String($0.trimmingSpaces) }
        guard !places.isEmpty, places.count <= Limits.shards else {
            throw ValidationError("--shards must name 1 to \(Limits.shards) shards")
        }
        let lost = try lostShards.split(separator: ",").map { text in
            guard let number = Int(text.trimmingSpaces), 0..<Limits.shards ~= number else {
                throw ValidationError("--lost-shards: \"\(text)\" is not the number of a shard, 0 to \(Limits.shards - 1)")
            }
            return number
        }
        var found: [KnownShard] = []
        for place in places { found.append(try await KnownShard.find(place)) }
        let shards = try Self.check(found, lost: lost)
        let snapshot = try await write(shards)
        Terminal.out(
            "cluster \(idText(snapshot.map.clusterID)), lineage \(idText(snapshot.lineage)), \(shards.count) shards"
        )
        for shard in shards { Terminal.out("  shard \(shard.shard): \(shard.place)") }
        Terminal.out(
            "\(data) is rebuilt. Not there: saved funnels (apply them again) and API keys (give them to the coordinator at its start).")
        if !lost.isEmpty {
            let names = lost.map(ClusterMap.Shard.name).joined(separator: ", ")
            Terminal.out("Start the cluster as usual, without --new-shards: \(names) will begin empty.")
        }
    }

    /// Checks that each shard is there once and that all are of one cluster, and returns them in order of their numbers.
    /// - Parameter lost: numbers of shards whose data are lost.
    static func check(_ found: [KnownShard], lost: [Int] = []) throws -> [KnownShard] {
        let gone = found.first.map { known in
            lost.map {
                KnownShard(place: "lost, begins empty", shard: $0, shardCount: 0, cluster: ClusterState(id: known.cluster.id), dataID: 0)
            }
        }
        let shards = (found + (gone ?? [])).sorted { $0.shard < $1.shard }
        guard let first = shards.first else { throw ValidationError("no shard") }
        for shard in shards {
            guard shard.cluster.id != 0 else { throw Failure("\(shard.place) does not know its cluster: it has never had data") }
            guard shard.cluster.id == first.cluster.id else {
                throw Failure(
                    "\(shard.place) is of cluster \(idText(shard.cluster.id)), \(first.place) of \(idText(first.cluster.id))"
                )
            }
            guard shard.shardCount == 0 || shard.shardCount == shards.count else {
                throw Failure("\(shard.place) is one of \(shard.shardCount) shards; \(shards.count) are named")
            }
        }
        for (number, shard) in shards.enumerated() where shard.shard != number {
            let twice = shards.filter { $0.shard == shard.shard }.map(\.place)
            throw Failure(
                twice.count > 1
                    ? "\(twice.joined(separator: " and ")) are both shard \(shard.shard)"
                    : "shard \(number) is not among those named; if its data are lost, use --lost-shards \(number)")
        }
        for keeper in shards {
            for (shard, kept) in zip(shards, keeper.keptDataIDs) where kept != 0 && shard.dataID != 0 && shard.dataID != kept {
                throw Failure(
                    "\(shard.place) is not what \(keeper.place) knows as shard \(shard.shard)'s data, but older data or those of another disk"
                )
            }
        }
        return shards
    }

    private func write(_ shards: [KnownShard]) async throws -> ClusterSnapshot {
        let lock: DirectoryLock
        do throws(DirectoryLock.Fault) { lock = try DirectoryLock(data) } catch { throw Failure("--data: \(error)") }
        let directory: CoordinatorDirectory
        do throws(InvalidDocument) { directory = try await CoordinatorDirectory(data, lock: lock, isRecovered: true) } catch {
            throw Failure(error.faults.map { "\($0.field): \($0.reason)" }.joined(separator: "\n"))
        }
        guard try await directory.registry.stored() == nil else {
            throw Failure("\(data) holds the metadata of a cluster already; nothing was changed")
        }
        if let marked = directory.marked, marked != shards[0].cluster.id {
            throw Failure(
                "\(data) is of cluster \(idText(marked)), the shards of \(idText(shards[0].cluster.id)); nothing was changed"
            )
        }
        let newest = shards.max { $0.cluster.revision < $1.cluster.revision }?.cluster ?? ClusterState()
        let listed = shards.map { shard in
            // A directory may not have the address; --shards of the coordinator replaces it at the next start.
            ClusterMap.Shard(id: shard.shard, host: shard.address?.host ?? Self.unknownHost, port: shard.address?.port ?? 1)
        }
        let map = ClusterMap(clusterID: newest.id, epoch: max(1, shards.map(\.cluster.epoch).max() ?? 1), shards: listed)
        let snapshot = ClusterSnapshot(
            revision: 0, lineage: newest.lineage == 0 ? ClusterRegistry.draw() : newest.lineage, map: map, keys: [],
            dataIDs: shards.map(\.dataID))
        let written = try await directory.registry.create(snapshot, above: newest.revision)
        try directory.claim(newest.id)
        try directory.store.close()
        return written
    }
}
