import Foundation
import NIOCore
import RPC
import Testing

/// A self-signed certificate for 127.0.0.1 and `shard.test`, made by the `openssl` program.
private struct TestCertificate {
    let folder: URL
    var chain: String { folder.appendingPathComponent("cert.pem").path }
    var key: String { folder.appendingPathComponent("key.pem").path }

    init(
        names: String = "IP:127.0.0.1,DNS:shard.test", algorithm: [String] = ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    ) async throws {
        folder = try Tool.temporaryFolder()
        let made = try await Tool.run(
            "openssl",
            [
                "req", "-x509", "-nodes", "-days", "2", "-newkey",
            ] + algorithm + [
                "-subj", "/CN=shard.test", "-addext", "subjectAltName=\(names)",
                "-keyout", folder.appendingPathComponent("key.pem").path,
                "-out", folder.appendingPathComponent("cert.pem").path,
            ])
        try #require(made.status == 0, "\(made.output)")
    }
}

@Suite(.timeLimit(.minutes(2)), .enabled(if: Tool.has("openssl"), "needs the openssl program"))
struct TLSTests {
    @Test func callsOverTLS() async throws {
        let certificate = try await TestCertificate()
        let serverTLS = TLSServerConfig(certificateChainFile: certificate.chain, privateKeyFile: certificate.key)
        try await withServer(ClosureHandler.echo, tls: serverTLS) { _, port in
            for name in [nil, "shard.test"] {
                let tls = TLSClientConfig(trustRootsFile: certificate.chain, verifyHostname: name)
                try await withClient(port, tls: tls) { client in
                    let body = pattern(3_000_000)
                    let isEqual = try await client.call("/", body).collect(upTo: 3_000_000) == body
                    #expect(isEqual)
                }
            }
        }
    }

    @Test func wrongNameUntrustedRootAndPlainTextAreRefused() async throws {
        // Only a name: an address in the certificate would be accepted for the socket's own address.
        let certificate = try await TestCertificate(names: "DNS:shard.test")
        let serverTLS = TLSServerConfig(certificateChainFile: certificate.chain, privateKeyFile: certificate.key)
        try await withServer(ClosureHandler.echo, tls: serverTLS) { server, port in
            let configurations: [TLSClientConfig?] = [
                TLSClientConfig(trustRootsFile: certificate.chain, verifyHostname: "other.test"),
                TLSClientConfig(trustRootsFile: certificate.chain),
                TLSClientConfig(verifyHostname: "shard.test"),
                nil,
            ]
            for tls in configurations {
                try await withClient(port, tls: tls) { client in
                    #expect(await client.failure()?.outcome == .refused)
                }
            }
            #expect(server.stats.callsTotal == 0)
        }
    }

    @Test func clientCertificateIsRequiredWhereRootsAreGiven() async throws {
        let certificate = try await TestCertificate()
        let serverTLS = TLSServerConfig(
            certificateChainFile: certificate.chain, privateKeyFile: certificate.key,
            clientRootsFile: certificate.chain)
        try await withServer(ClosureHandler.echo, tls: serverTLS) { _, port in
            try await withClient(port, tls: TLSClientConfig(trustRootsFile: certificate.chain)) { client in
                #expect(await client.failure() != nil)
            }
            let known = TLSClientConfig(
                trustRootsFile: certificate.chain, certificateChainFile: certificate.chain,
                privateKeyFile: certificate.key)
            try await withClient(port, tls: known) { client in #expect(await client.failure() == nil) }
        }
    }

    @Test func onlySuitesWithForwardSecrecyAreTaken() async throws {
        let certificate = try await TestCertificate(algorithm: ["rsa:2048"])
        let serverTLS = TLSServerConfig(certificateChainFile: certificate.chain, privateKeyFile: certificate.key)
        try await withServer(ClosureHandler.echo, tls: serverTLS) { _, port in
            func ciphers(_ suite: String) async throws -> String {
                try await Tool.run(
                    "sh", ["-c", "openssl s_client -connect 127.0.0.1:\(port) -tls1_2 -alpn h2 -cipher \(suite) </dev/null 2>&1"]
                ).output
            }
            for suite in ["AES128-SHA", "AES256-GCM-SHA384", "ECDHE-RSA-AES128-SHA", "ECDHE-RSA-AES256-SHA384"] {
                let told = try await ciphers("\(suite):@SECLEVEL=0")
                #expect(told.contains("Cipher is (NONE)"), "\(suite)")
            }
            for suite in ["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-CHACHA20-POLY1305"] {
                let told = try await ciphers(suite)
                #expect(told.contains("Cipher is \(suite)"), "\(suite)")
            }
        }
    }

    @Test func peerWithoutALPNIsClosed() async throws {
        let certificate = try await TestCertificate()
        let serverTLS = TLSServerConfig(certificateChainFile: certificate.chain, privateKeyFile: certificate.key)
        try await withServer(ClosureHandler.echo, tls: serverTLS) { server, port in
            // Ends by itself only because the server closes.
            _ = try await Tool.run("openssl", ["s_client", "-connect", "127.0.0.1:\(port)", "-ign_eof"])
            #expect(server.stats.callsTotal == 0)
            let isGone = await eventually { server.stats.connections == 0 }
            #expect(isGone)
        }
    }
}
