import Foundation
import FunnelProtocol
import NIOCore
import NIOPosix
import RPC
import Testing

/// Certificates that change while a server runs.
@Suite(.timeLimit(.minutes(2)), .enabled(if: Tool.has("openssl"), "needs the openssl program"))
struct TLSFilesTests {
    private static let day = 86_400

    private func withAuthority(_ body: (TestAuthority) async throws -> Void) async throws {
        let authority = try await TestAuthority()
        defer { authority.remove() }
        try await body(authority)
    }

    private func withServer(_ files: TLSFiles, _ body: (Int) async throws -> Void) async throws {
        let server = TransportServer(
            group: MultiThreadedEventLoopGroup.singleton, host: "127.0.0.1", port: 0, tls: files, limits: TransportLimits(),
            logger: quiet, handler: ClosureHandler.echo)
        let port = try await server.start().port
        do {
            try await body(port)
        } catch {
            await server.shutdown(grace: .zero)
            throw error
        }
        await server.shutdown(grace: .milliseconds(200))
    }

    /// The name in the certificate that the port shows.
    private func shown(_ port: Int) async throws -> String {
        let output = try await Tool.run(
            "sh",
            ["-c", "openssl s_client -connect 127.0.0.1:\(port) -alpn h2 </dev/null 2>/dev/null | openssl x509 -noout -subject"]
        ).output
        return output.split(separator: "=").last.map { $0.trimmingCharacters(in: .whitespacesAndNewlines) } ?? ""
    }

    @Test func newConnectionsUseNewFilesAndNoCallFails() async throws {
        try await withAuthority { authority in
            for name in ["used", "one", "two"] { try await authority.sign(name) }
            let files = try TLSFiles(authority.server("used"))
            #expect(files.look() == nil)
            try await withServer(files) { port in
                #expect(try await shown(port) == "used")
                try await withClient(port, tls: TLSClientConfig(trustRootsFile: authority.roots)) { kept in
                    let body = pattern(100_000)
                    for round in 0..<20 {
                        let name = round % 2 == 0 ? "one" : "two"
                        try authority.replace("used", by: name)
                        // Complete files were seen twice.
                        #expect(files.look() == nil)
                        // Calls run while the files are read.
                        async let during: ByteBuffer = kept.call("/", body).collect(upTo: 1 << 20)
                        if case .used(let expiry)? = files.look() {
                            #expect(expiry == files.expiry && expiry > Int(Date().timeIntervalSince1970))
                        } else {
                            Issue.record("round \(round): \(files.fault ?? "the change was not noticed")")
                        }
                        let isEqual = try await during == body
                        #expect(isEqual)
                        try await withClient(port, tls: TLSClientConfig(trustRootsFile: authority.roots)) { new in
                            #expect(await new.failure() == nil)
                        }
                        if round < 4 { #expect(try await shown(port) == name) }
                    }
                    #expect(files.look() == nil && files.fault == nil)
                }
            }
        }
    }

    @Test func aBadPairLeavesTheOldOneInUse() async throws {
        try await withAuthority { authority in
            for name in ["used", "good", "other"] { try await authority.sign(name) }
            let files = try TLSFiles(authority.server("used"))
            try await withServer(files) { port in
                func refusal(_ change: () throws -> Void) async throws -> String {
                    try change()
                    #expect(files.look() == nil)
                    guard case .refused(let reason, isNew: true)? = files.look() else {
                        Issue.record("not refused")
                        return ""
                    }
                    // Tried again, and not reported again.
                    #expect(files.look() == .refused(reason, isNew: false))
                    #expect(files.fault == reason && files.reload() == .refused(reason, isNew: false))
                    #expect(try await shown(port) == "used")
                    return reason
                }
                let mixed = try await refusal { try authority.replace("used", by: "other", ["key"]) }
                #expect(mixed.hasPrefix("the key does not belong to the certificate ("))
                let cut = try await refusal {
                    let text = try Data(contentsOf: URL(fileURLWithPath: authority.path("good.pem")))
                    try text.prefix(text.count / 2).write(to: URL(fileURLWithPath: authority.path("used.pem")))
                }
                #expect(cut.hasSuffix("(\(authority.path("used.pem")))"))
                _ = try await refusal { try Data().write(to: URL(fileURLWithPath: authority.path("used.pem"))) }
                let missing = try await refusal { try FileManager.default.removeItem(atPath: authority.path("used.pem")) }
                #expect(missing == "there is no such file (\(authority.path("used.pem")))", "\(missing)")
                try authority.replace("used", by: "good")
                #expect(files.look() == nil)
                guard case .used? = files.look() else { return #expect(Bool(false), "\(files.fault ?? "")") }
                #expect(files.fault == nil)
                #expect(try await shown(port) == "good")
            }
        }
    }

    @Test func aPairOutOfItsDatesIsRefused() async throws {
        try await withAuthority { authority in
            for name in ["used", "new"] { try await authority.sign(name) }
            let files = try TLSFiles(authority.server("used"))
            let now = Int(Date().timeIntervalSince1970)
            #expect(files.invalidity(now: now) == nil && files.invalidity(now: now + 3 * Self.day) == "the certificate has expired")
            try authority.replace("used", by: "new")
            let place = " (\(authority.path("used.pem")))"
            #expect(files.reload(now: now + 3 * Self.day) == .refused("the certificate has expired" + place, isNew: true))
            #expect(files.reload(now: now - Self.day) == .refused("the certificate is not valid yet" + place, isNew: true))
            // Once its time has come it is used, without another change of the files.
            guard case .used? = files.look(now: now) ?? files.look(now: now) else { return #expect(Bool(false), "still refused") }
        }
    }

    @Test func theClientsOfAProcessUseItsNewFilesToo() async throws {
        try await withAuthority { authority in
            let other = try await TestAuthority()
            defer { other.remove() }
            for name in ["server", "client"] { try await authority.sign(name) }
            for name in ["server", "client"] { try await other.sign(name) }
            var configuration = authority.server("server")
            configuration.clientRootsFile = authority.roots
            let files = try TLSFiles(authority.server("client"), trustRootsFile: authority.roots)
            try await withServer(try TLSFiles(configuration)) { port in
                try await withClient(port, tls: TLSClientConfig(files)) { client in #expect(await client.failure() == nil) }
            }
            configuration = other.server("server")
            configuration.clientRootsFile = other.roots
            try await withServer(try TLSFiles(configuration)) { port in
                try await withClient(port, tls: TLSClientConfig(files)) { client in #expect(await client.failure() != nil) }
                for name in ["client.pem", "client.key", "ca.pem"] {
                    let bytes = try Data(contentsOf: URL(fileURLWithPath: other.path(name)))
                    try bytes.write(to: URL(fileURLWithPath: authority.path(name)), options: .atomic)
                }
                guard case .used = files.reload() else { return #expect(Bool(false), "\(files.fault ?? "")") }
                try await withClient(port, tls: TLSClientConfig(files)) { client in #expect(await client.failure() == nil) }
            }
        }
    }

    @Test func oldVersionsOfTLSAreRefused() async throws {
        try await withAuthority { authority in
            try await authority.sign("used")
            try await withServer(try TLSFiles(authority.server("used"))) { port in
                for (version, isTaken) in [("-tls1_1", false), ("-tls1_2", true), ("-tls1_3", true)] {
                    let told = try await Tool.run(
                        "sh",
                        [
                            "-c",
                            "openssl s_client -connect 127.0.0.1:\(port) \(version) -alpn h2 -cipher ALL:@SECLEVEL=0 </dev/null 2>&1",
                        ]
                    ).output
                    #expect(told.contains("Cipher is (NONE)") != isTaken, "\(version): \(told)")
                }
            }
        }
    }
}
