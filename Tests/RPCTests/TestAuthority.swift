import Foundation
import RPC
import Testing

/// An authority and certificates that it signs, made by the `openssl` program in a folder of their own.
struct TestAuthority {
    let folder: URL

    init() async throws {
        folder = try Tool.temporaryFolder()
        try await Self.make(["-x509", "-days", "2", "-subj", "/CN=authority"] + Self.files(folder, "ca"))
    }

    func remove() { try? FileManager.default.removeItem(at: folder) }

    func path(_ name: String) -> String { folder.appendingPathComponent(name).path }
    var roots: String { path("ca.pem") }

    /// Makes `NAME.pem` and `NAME.key` for 127.0.0.1, with more DNS names.
    func sign(_ name: String, _ names: [String] = []) async throws {
        let all = (["IP:127.0.0.1"] + names.map { "DNS:\($0)" }).joined(separator: ",")
        try await Self.make(
            [
                "-x509", "-CA", roots, "-CAkey", path("ca.key"), "-days", "2", "-subj", "/CN=\(name)", "-addext", "subjectAltName=\(all)",
                "-addext", "basicConstraints=critical,CA:FALSE",
            ] + Self.files(folder, name))
    }

    func server(_ name: String) -> TLSServerConfig {
        TLSServerConfig(certificateChainFile: path(name + ".pem"), privateKeyFile: path(name + ".key"))
    }

    /// Puts files of one certificate in the place of those of another, as a program that renews certificates does.
    func replace(_ name: String, by other: String, _ endings: [String] = ["pem", "key"]) throws {
        for ending in endings {
            let bytes = try Data(contentsOf: URL(fileURLWithPath: path("\(other).\(ending)")))
            try bytes.write(to: URL(fileURLWithPath: path("\(name).\(ending)")), options: .atomic)
        }
    }

    private static func files(_ folder: URL, _ name: String) -> [String] {
        ["-keyout", folder.appendingPathComponent(name + ".key").path, "-out", folder.appendingPathComponent(name + ".pem").path]
    }

    private static func make(_ arguments: [String]) async throws {
        let made = try await Tool.run(
            "openssl", ["req", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"] + arguments)
        try #require(made.status == 0, "\(made.output)")
    }
}
