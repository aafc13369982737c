import Crypto
import FunnelModel
import FunnelProtocol
import Synchronization

/// The identity of a service in its hellos: role, cluster secret, cluster state.
package struct ServiceSelf: Sendable {
    package var role: Role
    /// Shared by the services of one cluster; empty only on loopback.
    package var secret: [UInt8]
    /// The metadata that this service acts by now.
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

package func randomBytes(_ count: Int) -> [UInt8] {
    var random = SystemRandomNumberGenerator()
    return (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
}
