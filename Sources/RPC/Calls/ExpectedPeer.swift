import FunnelModel
import FunnelProtocol
import Logging
import Synchronization

extension ProtocolError {
    /// Whether the peer does not know the call, since its release has none of this name.
    var isUnknownPath: Bool { code == .unknownKind && message.hasPrefix("HTTP 404") }
}

/// The peer that must answer at an address before the address is used.
package final class ExpectedPeer: Sendable {
    let role: Role
    private let shard: Int?
    /// Id of the data that the shard must have open, as this side knows it; 0 if it may be any.
    private let dataID: @Sendable () -> UInt64
    private let hasWarned = Atomic<Bool>(false)

    private init(_ role: Role, shard: Int?, dataID: @escaping @Sendable () -> UInt64) {
        self.role = role
        self.shard = shard
        self.dataID = dataID
    }

    package static func shard(_ number: Int, dataID: @escaping @Sendable () -> UInt64) -> ExpectedPeer {
        ExpectedPeer(.shard, shard: number, dataID: dataID)
    }
    package static var coordinator: ExpectedPeer { ExpectedPeer(.coordinator, shard: nil) { 0 } }
    package static var ingest: ExpectedPeer { ExpectedPeer(.ingest, shard: nil) { 0 } }

    /// Throws unless the peer is the expected one, as far as both sides know. A value that one of them does not know yet is
    /// no contradiction.
    package func check(_ peer: PeerIdentity, _ own: ClusterState) throws(ProtocolError) {
        guard peer.role == role, peer.shard == shard else {
            throw ProtocolError(.wrongBucket, "\(Self.name(peer.role, peer.shard)) answers there, not \(Self.name(role, shard))")
        }
        guard own.id == 0 || peer.cluster.id == 0 || own.id == peer.cluster.id else {
            throw ProtocolError(.foreignCluster, "cluster \(idText(peer.cluster.id)) answers there, not \(idText(own.id))")
        }
        let known = dataID()
        if known != 0, peer.dataID != known {
            guard peer.dataID != 0 else {
                throw ProtocolError(.notReady, "the shard has not opened its data yet" + (peer.problem.map { ": \($0)" } ?? ""))
            }
            throw ProtocolError(
                .foreignCluster,
                "\(Self.name(role, shard)) has other data open (data id \(idText(peer.dataID))) than the cluster knows (\(idText(known))): put the right disk back, or, if it is lost, start the coordinator with --new-shards \(shard ?? 0)"
            )
        }
        // A coordinator sends its lineage with its snapshot, from which others learn a new one.
        guard role != .coordinator, own.lineage != 0, peer.cluster.lineage != 0, own.lineage != peer.cluster.lineage else { return }
        throw ProtocolError(
            .foreignCluster,
            "the peer acts by metadata of lineage \(idText(peer.cluster.lineage)), this side by \(idText(own.lineage)): one of them has not heard from the cluster's coordinator, or belongs to a copy of the cluster"
        )
    }

    /// Warns once that a peer of a release before 0.2 cannot identify itself; it is accepted.
    func warnOfOldPeer(_ name: String, _ logger: Logger) {
        guard !hasWarned.exchange(true, ordering: .relaxed) else { return }
        logger.warning("peer is of a release before 0.2 and can't prove which process it is", metadata: ["peer": "\(name)"])
    }

    private static func name(_ role: Role, _ shard: Int?) -> String { shard.map { "shard \($0)" } ?? "\(role)" }
}
