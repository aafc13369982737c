import FunnelModel
import FunnelProtocol
import RPC

/// Asks a member of the local cluster whether it is ready. The call is one between services: with the cluster secret, and over TLS
/// if it is configured.
final class Readiness: Sendable {
    private let client: FrameClient

    init(_ member: ClusterPlan.Member, secret: String) {
        client = FrameClient.ofService(name: member.name, host: "127.0.0.1", port: member.wire, secret: secret)
    }

    /// Why the member is not ready; nil if it is.
    /// - Parameter instance: the id with which the process was started; a process with another id is not the member.
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
