import Crypto
import FunnelModel
import FunnelProtocol
import Synchronization

/// What a service knows of itself when it meets a peer.
package struct ServiceSelf: Sendable {
    package var role: Role
    /// Shared by the services of one cluster; empty only on loopback.
    package var secret: [UInt8]
    /// By which metadata this service acts now.
    package var cluster: @Sendable () -> ClusterState

    package init(role: Role, secret: [UInt8], cluster: @escaping @Sendable () -> ClusterState) {
        self.role = role
        self.secret = secret
        self.cluster = cluster
    }

    func proof(side: String, clientNonce: [UInt8], serverNonce: [UInt8], role: Role) -> [UInt8] {
        let text = Hello.proofText(side: side, clientNonce: clientNonce, serverNonce: serverNonce, role: role)
        return Array(HMAC<SHA256>.authenticationCode(for: text, using: SymmetricKey(data: secret)))
    }

    func accepts(_ proof: [UInt8], side: String, clientNonce: [UInt8], serverNonce: [UInt8], role: Role) -> Bool {
        let text = Hello.proofText(side: side, clientNonce: clientNonce, serverNonce: serverNonce, role: role)
        // Compares in constant time.
        return HMAC<SHA256>.isValidAuthenticationCode(proof, authenticating: text, using: SymmetricKey(data: secret))
    }
}

/// What one connection's peer has shown of itself; kept in the connection's attachment.
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
            // One guess a nonce: whoever fails has to begin again.
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

package func randomBytes(_ count: Int) -> [UInt8] {
    var random = SystemRandomNumberGenerator()
    return (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
}
