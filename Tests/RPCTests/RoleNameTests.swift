import Foundation
import FunnelModel
import FunnelProtocol
import NIOCore
import NIOPosix
import RPC
import Testing

/// Roles by the name in a certificate, beside the cluster secret.
@Suite(.timeLimit(.minutes(2)), .enabled(if: Tool.has("openssl"), "needs the openssl program"))
struct RoleNameTests {
    private static let secret = Array("a secret of the cluster, long enough".utf8)
    private static let cluster = ClusterState(id: 7, lineage: 1, revision: 1, epoch: 1)

    private static func files(_ authority: TestAuthority, _ name: String, as role: Role) throws -> TLSFiles {
        var server = authority.server(name)
        server.clientRootsFile = authority.roots
        server.namedRole = role
        server.mayLackCertificate = role != .shard
        return try TLSFiles(server, trustRootsFile: authority.roots)
    }

    private static func service(_ role: Role) -> ServiceSelf { ServiceSelf(role: role, secret: secret) { cluster } }

    /// A process of `role` whose `identity` only services may ask, and whose `keys` anybody may.
    private func withPeer(_ role: Role, _ files: TLSFiles, _ body: (Int) async throws -> Void) async throws {
        let identity = FrameServer.Route(.identity, .services([.ingest, .coordinator])) { call in
            let result = PeerIdentity(
                role: role, shard: role == .shard ? 0 : nil, shardCount: 1, cluster: Self.cluster, problem: nil, instance: "", version: "1",
                dataID: 3)
            var answer = call.writer()
            try await answer.send(.identity, result.body)
            try await answer.end(rows: 1)
        }
        let health = FrameServer.Route(.health, .anyone) { call in
            var answer = call.writer()
            try await answer.send(.healthResult, HealthResult(role: role, ready: true, epoch: 1).body)
            try await answer.end(rows: 1)
        }
        let server = TransportServer(
            group: MultiThreadedEventLoopGroup.singleton, host: "127.0.0.1", port: 0, tls: files, limits: TransportLimits(),
            logger: quiet, handler: FrameServer(Self.service(role), routes: [identity, health], logger: quiet))
        let port = try await server.start().port
        do {
            try await body(port)
        } catch {
            await server.shutdown(grace: .zero)
            throw error
        }
        await server.shutdown(grace: .milliseconds(200))
    }

    /// The error of asking for the identity; nil if it is given.
    private func failure(
        _ port: Int, as role: Role, _ path: CallPath = .identity, _ body: [UInt8] = [], expecting expected: ExpectedPeer? = nil,
        by tls: TLSClientConfig
    ) async -> String? {
        let client = FrameClient(
            name: "peer", host: "127.0.0.1", port: port, service: Self.service(role), expecting: expected,
            group: MultiThreadedEventLoopGroup.singleton, tls: tls, connections: 1, logger: quiet)
        var failure: String?
        do {
            _ = try await client.call(path, body, timeout: .seconds(20))
        } catch {
            failure = error.message
        }
        await client.shutdown()
        return failure
    }

    @Test func aServiceIsWhatItsCertificateSays() async throws {
        let authority = try await TestAuthority()
        defer { authority.remove() }
        for role in ["ingest", "shard", "coordinator"] { try await authority.sign(role, ["\(role).sluice"]) }
        try await authority.sign("all", ["ingest.sluice", "shard.sluice", "coordinator.sluice"])
        try await authority.sign("none", ["ingest.sluice.example", "xingest.sluice"])
        try await withPeer(.shard, try Self.files(authority, "shard", as: .shard)) { port in
            func client(_ name: String) -> TLSClientConfig {
                TLSClientConfig(
                    trustRootsFile: authority.roots, certificateChainFile: authority.path(name + ".pem"),
                    privateKeyFile: authority.path(name + ".key"))
            }
            #expect(await failure(port, as: .ingest, by: client("ingest")) == nil)
            #expect(await failure(port, as: .coordinator, by: client("coordinator")) == nil)
            #expect(await failure(port, as: .ingest, by: client("all")) == nil)
            for name in ["coordinator", "shard", "none"] {
                let told = await failure(port, as: .ingest, by: client(name))
                #expect(told?.contains("ingest.sluice") == true, "\(name): \(told ?? "accepted")")
            }
            // A shard takes no connection without a certificate, not even with the secret.
            #expect(await failure(port, as: .ingest, by: TLSClientConfig(trustRootsFile: authority.roots)) != nil)
        }
    }

    @Test func clientsWithKeysNeedNoCertificate() async throws {
        let authority = try await TestAuthority()
        let stranger = try await TestAuthority()
        defer {
            authority.remove()
            stranger.remove()
        }
        try await authority.sign("coordinator", ["coordinator.sluice"])
        try await stranger.sign("ingest", ["ingest.sluice"])
        try await withPeer(.coordinator, try Self.files(authority, "coordinator", as: .coordinator)) { port in
            let anonymous = TLSClientConfig(trustRootsFile: authority.roots)
            #expect(await failure(port, as: .client, .health, by: anonymous) == nil)
            let hello = Hello(role: .client, phase: 1, nonce: [UInt8](repeating: 1, count: Hello.nonceBytes))
            #expect(await failure(port, as: .client, .hello, hello.body, by: anonymous) == nil)
            let told = await failure(port, as: .ingest, by: anonymous)
            #expect(told?.contains("has no certificate with the DNS name ingest.sluice") == true, "\(told ?? "accepted")")
            // A certificate of another authority is refused, also if it names the right role.
            let foreign = TLSClientConfig(
                trustRootsFile: authority.roots, certificateChainFile: stranger.path("ingest.pem"),
                privateKeyFile: stranger.path("ingest.key"))
            #expect(await failure(port, as: .ingest, by: foreign) != nil)
        }
    }

    @Test func aServiceCallsOnlyTheRoleThatItExpects() async throws {
        let authority = try await TestAuthority()
        defer { authority.remove() }
        for role in ["ingest", "shard", "coordinator"] { try await authority.sign(role, ["\(role).sluice"]) }
        let ingest = TLSClientConfig(try Self.files(authority, "ingest", as: .ingest))
        try await withPeer(.shard, try Self.files(authority, "shard", as: .shard)) { port in
            #expect(await failure(port, as: .ingest, expecting: .shard(0) { 3 }, by: ingest) == nil)
        }
        // A process with the secret and with ingest's certificate says that it is a shard.
        var server = authority.server("ingest")
        server.clientRootsFile = authority.roots
        try await withPeer(.shard, try TLSFiles(server)) { port in
            let told = await failure(port, as: .ingest, expecting: .shard(0) { 3 }, by: ingest)
            #expect(told?.contains("shard.sluice") == true, "\(told ?? "accepted")")
        }
    }

    @Test func theOwnCertificateMustNameTheRole() async throws {
        let authority = try await TestAuthority()
        defer { authority.remove() }
        for role in ["ingest", "shard"] { try await authority.sign(role, ["\(role).sluice"]) }
        #expect(throws: TransportError.self) { try Self.files(authority, "ingest", as: .shard) }
        let files = try Self.files(authority, "shard", as: .shard)
        try authority.replace("shard", by: "ingest")
        guard case .refused(let reason, isNew: true) = files.reload() else { return #expect(Bool(false), "not refused") }
        #expect(reason.hasPrefix("the certificate does not have the DNS name shard.sluice"))
    }
}
