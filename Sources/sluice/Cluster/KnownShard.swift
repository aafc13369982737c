import ArgumentParser
import EventStorage
import Foundation
import FunnelModel
import FunnelProtocol
import Logging
import NIOPosix
import RPC
import ServiceRuntime

/// What one shard knows of its cluster.
struct KnownShard {
    /// Where it was found: an address or a directory.
    var place: String
    var shard: Int
    var shardCount: Int
    var cluster: ClusterState
    /// 0 if it is not known.
    var dataID: UInt64
    /// The data ids of all shards, from its stored snapshot; empty for a running shard.
    var keptDataIDs: [UInt64] = []
    /// Its wire address, where known.
    var address: (host: String, port: Int)?

    /// Asks a running shard, or reads the directory of one that is stopped.
    static func find(_ place: String) async throws -> KnownShard {
        var isDirectory: ObjCBool = false
        if FileManager.default.fileExists(atPath: place, isDirectory: &isDirectory), isDirectory.boolValue { return try read(place) }
        guard let address = parseAddress(place) else {
            throw ValidationError("--shards: there is no such directory, and an address \(addressFault(place) ?? "")")
        }
        return try await ask(place, address)
    }

    private static func read(_ directory: String) throws -> KnownShard {
        guard let identity = try ShardStore<POSIXFileSystem>.identity(directory: directory, files: POSIXFileSystem()) else {
            throw ValidationError("\(directory) is not the data directory of a shard")
        }
        let lock: DirectoryLock
        do throws(DirectoryLock.Fault) { lock = try DirectoryLock(directory) } catch {
            throw Failure("\(error)\nStop the shard, or give its wire address instead of its directory.")
        }
        defer { withExtendedLifetime(lock) {} }
        var known = KnownShard(
            place: directory, shard: identity.shard, shardCount: identity.shardCount,
            cluster: ClusterState(id: identity.clusterID, epoch: identity.epoch),
            dataID: try ShardStore<POSIXFileSystem>.dataID(directory: directory, files: POSIXFileSystem()))
        if let snapshot = try kept(directory), snapshot.map.clusterID == identity.clusterID {
            known.cluster = snapshot.state
            known.keptDataIDs = snapshot.dataIDs
            if snapshot.map.shards.indices.contains(identity.shard) {
                known.address = (snapshot.map.shards[identity.shard].host, snapshot.map.shards[identity.shard].port)
            }
        }
        return known
    }

    /// The cluster snapshot that a service keeps with its data; nil if there is none.
    private static func kept(_ directory: String) throws -> ClusterSnapshot? {
        guard let bytes = DurableFile.read(directory + "/cluster.snapshot") else { return nil }
        let frame = try FrameDecoder.single(bytes)
        return try decoding("\(directory)/cluster.snapshot") { () throws(ByteError) in try ClusterSnapshot(body: frame.body) }
    }

    private static func ask(_ place: String, _ address: (host: String, port: Int)) async throws -> KnownShard {
        let client = FrameClient.ofService(name: place, host: address.host, port: address.port)
        defer { Task { await client.shutdown() } }
        do {
            let body = try await client.call(.identity, [], timeout: .seconds(5))
            let identity = try decoding("identity") { () throws(ByteError) in try PeerIdentity(body: body) }
            guard let shard = identity.shard else { throw Failure("\(place) is not a shard but of role \(identity.role)") }
            return KnownShard(
                place: place, shard: shard, shardCount: identity.shardCount, cluster: identity.cluster, dataID: identity.dataID,
                address: address)
        } catch let error as ProtocolError {
            throw Failure(error.text(from: place))
        }
    }
}

extension FrameClient {
    /// A client with the cluster secret and the certificates of the environment, as a coordinator has them.
    static func ofService(name: String, host: String, port: Int, secret: String? = nil) -> FrameClient {
        let environment = environmentVariables()
        func file(_ name: String) -> String? { environment["SLUICE_TLS_\(name)"].flatMap { $0.isEmpty ? nil : $0 } }
        let tls = file("CERT").map { TLSClientConfig(trustRootsFile: file("CA"), certificateChainFile: $0, privateKeyFile: file("KEY")) }
        let secret = secret ?? environment["SLUICE_CLUSTER_SECRET"] ?? ""
        return FrameClient(
            name: name, host: host, port: port, service: ServiceSelf(role: .coordinator, secret: Array(secret.utf8)) { ClusterState() },
            group: MultiThreadedEventLoopGroup.singleton, tls: tls, connections: 1,
            logger: Logger(label: "sluice") { _ in SwiftLogNoOpLogHandler() })
    }
}
