import Crypto
import FunnelModel
import FunnelProtocol
import Synchronization

/// The role that the peer of a connection has offered and proven; kept in the connection's attachment.
final class PeerState: Sendable {
    struct Offered {
        var role: Role
        var clientNonce: [UInt8]
        var serverNonce: [UInt8]
    }

    private let state = Mutex<(offered: Offered?, proven: Role?)>((nil, nil))

    /// The role that the peer has proven by the cluster secret; nil for clients.
    var proven: Role? { state.withLock { $0.proven } }

    /// Phase 1 notes nonces and answers with our proof; phase 2 checks the peer's.
    func receive(_ hello: Hello, as service: ServiceSelf) throws(ProtocolError) -> HelloResult {
        guard hello.versionMin <= FrameHeader.version, hello.versionMax >= FrameHeader.version else {
            throw ProtocolError(
                .unsupportedVersion, "peer speaks \(hello.versionMin) to \(hello.versionMax), this side \(FrameHeader.version)")
        }
        let fresh = randomBytes(Hello.nonceBytes)
        let offered = state.withLock { state -> Offered? in
            if hello.phase == 1 {
                state.offered = Offered(role: hello.role, clientNonce: hello.nonce, serverNonce: fresh)
                state.proven = nil
            }
            return state.offered
        }
        guard let offered else { throw ProtocolError(.notAuthenticated, "hello phase 2 without phase 1") }
        if hello.phase == 2 {
            // One guess per nonce: a peer that fails must begin again.
            state.withLock { $0.offered = nil }
            guard hello.role == offered.role, hello.nonce == offered.clientNonce,
                service.accepts(
                    hello.proof, side: "client", clientNonce: offered.clientNonce, serverNonce: offered.serverNonce,
                    role: offered.role)
            else { throw ProtocolError(.notAuthenticated, "the cluster secret does not match") }
            state.withLock { $0.proven = offered.role }
        }
        let cluster = service.cluster()
        return HelloResult(
            role: service.role, version: FrameHeader.version, cluster: cluster.id, epoch: cluster.epoch, nonce: offered.serverNonce,
            proof: service.proof(
                side: "server", clientNonce: offered.clientNonce, serverNonce: offered.serverNonce, role: offered.role))
    }
}
