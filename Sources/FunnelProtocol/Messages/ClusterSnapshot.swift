import FunnelModel

/// What every service keeps of the coordinator's metadata: the cluster map and the hashes of the keys.
package struct ClusterSnapshot: Equatable, Sendable {
    /// Rises with every change; a service never goes back.
    package var revision: UInt64
    package var map: ClusterMap
    package var keys: [Key]

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

    package init(revision: UInt64, map: ClusterMap, keys: [Key]) {
        self.revision = revision
        self.map = map
        self.keys = keys
    }

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
        return out.bytes
    }

    package init(body: [UInt8]) throws(ByteError) {
        var reader = ByteReader(body)
        revision = try reader.integer("revision")
        let cluster: UInt64 = try reader.integer("cluster id")
        map = ClusterMap(clusterID: cluster, epoch: try reader.integer("epoch"), shards: [])
        for i in 0..<(try reader.count(limit: Limits.shards, "shards")) {
            let id = try reader.count(limit: Limits.shards, "shard id")
            guard id == i else { throw ByteError(offset: reader.offset, reason: "shard \(id) stands at place \(i)") }
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

    package init(known: UInt64, waitMilliseconds: UInt32) {
        self.known = known
        self.waitMilliseconds = waitMilliseconds
    }

    package var body: [UInt8] {
        var out = ByteWriter()
        out.integer(known)
        out.integer(waitMilliseconds)
        return out.bytes
    }

    package init(body: [UInt8]) throws(ByteError) {
        var reader = ByteReader(body)
        known = try reader.integer("known revision")
        waitMilliseconds = try reader.integer("wait")
        try reader.finish("snapshot request")
    }
}
