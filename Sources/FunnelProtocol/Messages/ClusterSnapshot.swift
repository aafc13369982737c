import Codec
import FunnelModel

/// The part of the coordinator's metadata that every service keeps: cluster map, hashes of the keys, data ids of the shards.
package struct ClusterSnapshot: Equatable, Sendable {
    /// Rises with every change; within a lineage a service never goes back.
    package var revision: UInt64
    /// Lineage of the coordinator's metadata; 0 = a release before 0.2 wrote it.
    package var lineage: UInt64
    package var map: ClusterMap
    package var keys: [Key]
    /// By shard: the id of the data that it must have open; 0 = not known yet. Empty if a release before 0.2 wrote it.
    package var dataIDs: [UInt64]

    package struct Key: Equatable, Sendable {
        package var role: KeyRole
        package var project: UInt32
        /// SHA-256 of the key's text.
        package var hash: [UInt8]

        package init(role: KeyRole, project: UInt32, hash: [UInt8]) {
            self.role = role
            self.project = project
            self.hash = hash
        }
    }

    package static let keysMax = 10_000
    package static let hashBytes = 32

    package init(revision: UInt64, lineage: UInt64, map: ClusterMap, keys: [Key], dataIDs: [UInt64] = []) {
        self.revision = revision
        self.lineage = lineage
        self.map = map
        self.keys = keys
        self.dataIDs = dataIDs
    }

    /// The id of the data that a shard must have open; 0 if it may be any.
    package func dataID(ofShard shard: Int) -> UInt64 { dataIDs.indices.contains(shard) ? dataIDs[shard] : 0 }

    package var state: ClusterState { ClusterState(id: map.clusterID, lineage: lineage, revision: revision, epoch: map.epoch) }

    package var body: [UInt8] {
        var out = ByteWriter()
        out.integer(revision)
        out.integer(map.clusterID)
        out.integer(map.epoch)
        out.varint(UInt64(map.shards.count))
        for shard in map.shards {
            out.varint(UInt64(shard.id))
            out.string(ByteString(shard.host))
            out.integer(UInt16(truncatingIfNeeded: shard.port))
        }
        out.varint(UInt64(keys.count))
        for key in keys {
            out.integer(key.role.rawValue)
            out.integer(key.project)
            out.append(key.hash)
        }
        // A service of a release before 0.2 does not ask for a lineage, and gets none.
        guard lineage != 0 else { return out.bytes }
        out.integer(lineage)
        out.varint(UInt64(dataIDs.count))
        for id in dataIDs { out.integer(id) }
        return out.bytes
    }

    package init(body: [UInt8]) throws(ByteError) {
        var reader = ByteReader(body)
        revision = try reader.integer("revision")
        let cluster: UInt64 = try reader.integer("cluster id")
        map = ClusterMap(clusterID: cluster, epoch: try reader.integer("epoch"), shards: [])
        for i in 0..<(try reader.count(limit: Limits.shards, "shards")) {
            let id = try reader.count(limit: Limits.shards, "shard id")
            guard id == i else { throw ByteError(offset: reader.offset, reason: "shard \(id) at place \(i)") }
            let host = try reader.string(limit: 255, "host").string
            let port: UInt16 = try reader.integer("port")
            map.shards.append(.init(id: id, host: host, port: Int(port)))
        }
        keys = []
        for _ in 0..<(try reader.count(limit: Self.keysMax, "keys")) {
            let raw: UInt8 = try reader.integer("role")
            guard let role = KeyRole(rawValue: raw) else {
                throw ByteError(offset: reader.offset, reason: "key role \(raw) is unknown")
            }
            let project: UInt32 = try reader.integer("project")
            keys.append(.init(role: role, project: project, hash: Array(body[try reader.take(Self.hashBytes, "hash")])))
        }
        (lineage, dataIDs) = (0, [])
        guard reader.remaining > 0 else { return }
        lineage = try reader.integer("lineage")
        let count = try reader.count(limit: map.shards.count, "data ids")
        guard count == 0 || count == map.shards.count else {
            throw ByteError(offset: reader.offset, reason: "\(count) data ids for \(map.shards.count) shards")
        }
        for _ in 0..<count { dataIDs.append(try reader.integer("data id")) }
        try reader.finish("snapshot")
    }
}

/// What a key allows.
package enum KeyRole: UInt8, CaseIterable, Sendable {
    /// Append events.
    case write = 1
    /// Query, and read definitions.
    case read = 2
    case admin = 3
}

/// Asks for a snapshot newer than the one known; the answer may wait for one.
package struct SnapshotRequest: Equatable, Sendable {
    package var known: UInt64
    package var waitMilliseconds: UInt32
    /// nil in a request of a release before 0.2; otherwise the answer has its lineage.
    package var origin: Origin?

    /// Identifies the known snapshot: two directories of one lineage may reach the same revision with different bodies.
    package struct Origin: Equatable, Sendable {
        /// 0 if no snapshot is known.
        package var lineage: UInt64
        /// CRC-32C of the body of the known snapshot; 0 if there is none.
        package var checksum: UInt32

        package init(lineage: UInt64, checksum: UInt32) {
            self.lineage = lineage
            self.checksum = checksum
        }

        package init(_ snapshot: ClusterSnapshot?) {
            self.init(lineage: snapshot?.lineage ?? 0, checksum: snapshot.map { CRC32C.checksum($0.body) } ?? 0)
        }
    }

    package init(known: UInt64, waitMilliseconds: UInt32, origin: Origin?) {
        self.known = known
        self.waitMilliseconds = waitMilliseconds
        self.origin = origin
    }

    package var body: [UInt8] {
        var out = ByteWriter()
        out.integer(known)
        out.integer(waitMilliseconds)
        if let origin {
            out.integer(origin.lineage)
            out.integer(origin.checksum)
        }
        return out.bytes
    }

    package init(body: [UInt8]) throws(ByteError) {
        var reader = ByteReader(body)
        known = try reader.integer("known revision")
        waitMilliseconds = try reader.integer("wait")
        if reader.remaining > 0 { origin = Origin(lineage: try reader.integer("lineage"), checksum: try reader.integer("checksum")) }
        try reader.finish("snapshot request")
    }
}
