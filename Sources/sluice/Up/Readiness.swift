import FunnelModel
import FunnelProtocol
import RPC

/// Asks one member of a cluster on this machine whether it is ready, in the way services ask each other: over TLS where they
/// use it, and by the secret that they share.
final class Readiness: Sendable {
    private let client: FrameClient

    init(_ member: ClusterPlan.Member, secret: String) {
        client = FrameClient.ofService(name: member.name, host: "127.0.0.1", port: member.wire, secret: secret)
    }

    /// Why the member is not ready; nil where it is.
    /// - Parameter instance: what the process was started with: another one at the same address is not the member.
    func problem(instance: String?) async -> String? {
        do {
            let body = try await client.call(.identity, [], timeout: .seconds(2))
            let identity = try decoding("identity") { () throws(ByteError) in try PeerIdentity(body: body) }
            guard identity.instance == instance else { return "another process answers at its address" }
            return identity.problem
        } catch {
            return error.message
        }
    }

    func shutdown() async { await client.shutdown() }
}
