import FunnelModel

/// The identity that a service sends to a peer that has proven the cluster secret: the process and cluster that a connection
/// reached, the metadata it acts by, and whether it is ready.
package struct PeerIdentity: Equatable, Sendable {
    package static let reasonMax = 4_096
    package static let instanceMax = 64
    package static let versionMax = 64

    package var role: Role
    /// Number of the shard; nil for other roles.
    package var shard: Int?
    /// Number of shards in the map that the service acts by; 0 before it has one.
    package var shardCount: Int
    /// Zeros before the service knows them.
    package var cluster: ClusterState
    /// Why the service is not ready; nil if it is. A shard that accepts no appends says so here, and may still answer queries.
    package var problem: String?
    /// The value of `SLUICE_INSTANCE` with which the process was started; empty if there is none.
    package var instance: String
    /// The release, such as `0.2.0`.
    package var version: String
    /// Id of the data that a shard has open; 0 before that, and for other roles.
    package var dataID: UInt64

    package init(
        role: Role, shard: Int?, shardCount: Int, cluster: ClusterState, problem: String?, instance: String, version: String,
        dataID: UInt64 = 0
    ) {
        self.role = role
        self.shard = shard
        self.shardCount = shardCount
        self.cluster = cluster
        self.problem = problem
        self.instance = instance
        self.version = version
        self.dataID = dataID
    }

    package var body: [UInt8] {
        var out = ByteWriter()
        out.integer(role.rawValue)
        out.varint(UInt64(shard.map { $0 + 1 } ?? 0))
        out.varint(UInt64(shardCount))
        out.integer(cluster.id)
        out.integer(cluster.lineage)
        out.integer(cluster.revision)
        out.integer(cluster.epoch)
        out.integer(UInt8(problem == nil ? 1 : 0))
        out.string(ProtocolError.cut(problem ?? "", to: Self.reasonMax))
        out.string(ProtocolError.cut(instance, to: Self.instanceMax))
        out.string(ProtocolError.cut(version, to: Self.versionMax))
        out.integer(dataID)
        return out.bytes
    }

    package init(body: [UInt8]) throws(ByteError) {
        var reader = ByteReader(body)
        role = try readRole(&reader)
        let number = try reader.count(limit: Limits.shards, "shard number")
        guard (number > 0) == (role == .shard) else {
            throw ByteError(offset: reader.offset, reason: "shard number \(number) of a \(role)")
        }
        shard = number > 0 ? number - 1 : nil
        shardCount = try reader.count(limit: Limits.shards, "shards of the map")
        cluster = ClusterState(id: try reader.integer("cluster id"))
        cluster.lineage = try reader.integer("lineage")
        cluster.revision = try reader.integer("revision")
        cluster.epoch = try reader.integer("epoch")
        let flag: UInt8 = try reader.integer("ready")
        let reason = try reader.string(limit: Self.reasonMax, "reason").string
        guard flag <= 1, flag == 0 || reason.isEmpty else {
            throw ByteError(offset: reader.offset, reason: "a reason beside ready \(flag)")
        }
        problem = flag == 1 ? nil : reason
        instance = try reader.string(limit: Self.instanceMax, "instance").string
        version = try reader.string(limit: Self.versionMax, "version").string
        dataID = try reader.integer("data id")
        guard dataID == 0 || role == .shard else { throw ByteError(offset: reader.offset, reason: "a data id of a \(role)") }
        try reader.finish("identity")
    }
}

/// The metadata that a service acts by. All fields are 0 before it knows them.
package struct ClusterState: Equatable, Sendable {
    package var id: UInt64
    /// Drawn at random when a coordinator's directory is made, copied or found to be behind. Revisions of two lineages cannot be compared.
    package var lineage: UInt64
    package var revision: UInt64
    package var epoch: UInt32

    package init(id: UInt64 = 0, lineage: UInt64 = 0, revision: UInt64 = 0, epoch: UInt32 = 0) {
        self.id = id
        self.lineage = lineage
        self.revision = revision
        self.epoch = epoch
    }
}
