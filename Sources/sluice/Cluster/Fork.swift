import ArgumentParser
import EventStorage
import Foundation
import FunnelModel
import Metadata
import ServiceRuntime

struct Fork: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make a copy of a cluster's directories a cluster of its own, offline.",
        discussion: """
            A copy has the id of the cluster that it was made from, so the services of both would take each other for \
            their own. The copy gets a new id; its events, funnels and keys stay. The command fails while a service runs on a \
            directory. A run that was interrupted is finished by running it again.

            Examples:
              sluice cluster fork ./copy-of-sluice-data
              sluice cluster fork /restored/shard-0 --cluster-id 5eed5eed5eed5eed    # services with directories apart: one id for all
            """)

    @Argument(help: "A copied data directory: that of `sluice up`, or of one service.") var directory: String
    @Option(help: "The new cluster's id, 1 to 16 hexadecimal digits. (default: random)") var clusterId: String?

    /// The file with the new cluster id, until a run is complete.
    private static let note = "FORK"

    func run() async throws {
        let parts = try Self.parts(of: directory)
        var locks = [try Self.lock(directory)]
        for part in parts where part != directory { locks.append(try Self.lock(part)) }
        defer { withExtendedLifetime(locks) {} }
        let id = try newID()
        try DurableFile.replace(directory + "/" + Self.note, with: Array(idText(id).utf8))
        for part in parts {
            try await Self.fork(part, to: id, lock: locks.first { $0.isOf(part) })
            Terminal.out("\(part): cluster \(idText(id))")
        }
        try FileManager.default.removeItem(atPath: directory + "/" + Self.note)
        if parts == [directory] { Terminal.out("the other services of this cluster need --cluster-id \(idText(id))") }
    }

    private func newID() throws -> UInt64 {
        let begun = DurableFile.read(directory + "/" + Self.note).flatMap { UInt64(String(decoding: $0, as: UTF8.self), radix: 16) }
        guard let clusterId else { return begun ?? ClusterRegistry.draw() }
        guard let id = UInt64(clusterId, radix: 16), id > 0 else {
            throw ValidationError("--cluster-id must be 1 to 16 hexadecimal digits and not 0, not \"\(clusterId)\"")
        }
        if let begun, begun != id {
            throw ValidationError("a fork to cluster \(idText(begun)) was begun here; finish it without --cluster-id")
        }
        return id
    }

    /// The services' directories: shards first, so that no coordinator of the new id meets a shard of the old one.
    private static func parts(of directory: String) throws -> [String] {
        if isService(directory) { return [directory] }
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
        let shards = names.filter { $0.hasPrefix("shard-") }.sorted { $0.localizedStandardCompare($1) == .orderedAscending }
        let parts = (shards + ["ingest", "coordinator"]).map { "\(directory)/\($0)" }.filter(isService)
        guard !parts.isEmpty else { throw ValidationError("\(directory) is not the data directory of a cluster or of one of its services") }
        return parts
    }

    private static func isService(_ directory: String) -> Bool {
        ["IDENTITY", "metadata.sqlite", "cluster.snapshot"].contains { FileManager.default.fileExists(atPath: directory + "/" + $0) }
    }

    private static func lock(_ directory: String) throws -> DirectoryLock {
        do throws(DirectoryLock.Fault) { return try DirectoryLock(directory) } catch { throw Failure("\(error)") }
    }

    private static func fork(_ directory: String, to id: UInt64, lock: DirectoryLock?) async throws {
        if try ShardStore<POSIXFileSystem>.identity(directory: directory, files: POSIXFileSystem()) != nil {
            try ShardStore<POSIXFileSystem>.fork(directory: directory, files: POSIXFileSystem(), to: id)
        }
        if FileManager.default.fileExists(atPath: directory + "/metadata.sqlite"), let lock {
            // An earlier run may have changed the database and not yet the file CLUSTER.
            try? FileManager.default.removeItem(atPath: directory + "/CLUSTER")
            let opened = try await CoordinatorDirectory(directory, lock: lock)
            try await opened.registry.rename(to: id)
            try opened.claim(id)
            try opened.store.close()
        }
        // They have the other cluster's id and addresses; the coordinator sends new ones.
        for name in ["cluster.snapshot", "cluster.keys"] { try? FileManager.default.removeItem(atPath: directory + "/" + name) }
    }
}
