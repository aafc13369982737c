import ArgumentParser
import Foundation
import FunnelModel
import RPC
import ServiceRuntime

/// The API key, and how connections to wire ports are protected.
struct KeyOptions: ParsableArguments {
    @OptionGroup var base: HTTPKeyOptions

    @Option(
        help: ArgumentHelp("PEM file with the authority of the server's certificate. Turns TLS on.", valueName: "file"),
        completion: .file())
    var tlsCa: String?

    var tls: TLSClientConfig? { tlsCa.map { TLSClientConfig(trustRootsFile: $0) } }
}

/// The API key, and whether it may be sent without TLS.
struct HTTPKeyOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp("File with the API key. By default the key is in the variable SLUICE_KEY.", valueName: "file"),
        completion: .file())
    var keyFile: String?

    @Flag(help: "Send the key to another machine without TLS, for example in a private network.")
    var allowPlainText = false

    /// A key must not cross a network in plain text unless that was asked for.
    /// - Parameter advice: how to use TLS.
    func check(host: String, encrypted: Bool, advice: String) throws {
        guard !encrypted, !allowPlainText, !isLoopback(host), try authorization() != nil else { return }
        throw Failure("the API key would cross the network to \(host) in plain text: \(advice) to use TLS, or --allow-plain-text")
    }

    /// What to do if a service asks for an API key and none was given.
    static let keyNeeded = "an API key is needed: set SLUICE_KEY or give --key-file"

    func authorization() throws -> String? {
        let environment = ProcessInfo.processInfo.environment
        let key: String?
        if let keyFile {
            guard let bytes = DurableFile.read(keyFile) else { throw Failure("--key-file: cannot read \(keyFile)") }
            key = String(String(decoding: bytes, as: UTF8.self).trimmingSpaces)
        } else {
            key = environment["SLUICE_KEY"]
        }
        return key.flatMap { $0.isEmpty ? nil : "Bearer \($0)" }
    }
}
