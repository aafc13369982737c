import ArgumentParser
import Foundation
import FunnelModel
import FunnelProtocol
import Logging
import NIOPosix
import RPC
import ServiceRuntime

/// Where the cluster is, and with which key.
struct KeyOptions: ParsableArguments {
    @Option(help: "File that holds the API key; else SLUICE_KEY is used.")
    var keyFile: String?

    @Option(help: "PEM file with the authority of the server's certificate; makes the connection use TLS.")
    var tlsCa: String?

    var tls: TLSClientConfig? { tlsCa.map { TLSClientConfig(trustRootsFile: $0) } }

    @Flag(help: "Send the key to another machine without TLS, e.g. in a private network.")
    var allowPlainText = false

    /// A key must not cross a network in plain text unless that was asked for.
    func check(host: String, encrypted: Bool) throws {
        guard !encrypted, !allowPlainText, !isLoopback(host), try authorization() != nil else { return }
        throw ValidationError("the key would go to \(host) in plain text: give --tls-ca, or --allow-plain-text")
    }

    func authorization() throws -> String? {
        let environment = ProcessInfo.processInfo.environment
        let key: String?
        if let keyFile {
            guard let bytes = DurableFile.read(keyFile) else { throw ValidationError("cannot read --key-file \(keyFile)") }
            key = String(String(decoding: bytes, as: UTF8.self).trimmingSpaces)
        } else {
            key = environment["SLUICE_KEY"]
        }
        return key.flatMap { $0.isEmpty ? nil : "Bearer \($0)" }
    }
}

/// Wire calls of the command line to one service.
struct WireClient: Sendable {
    private let client: FrameClient
    private let authorization: String?

    init(_ address: String, _ options: KeyOptions, connections: Int = 1) throws {
        guard let target = parseAddress(address) else { throw ValidationError("\"\(address)\" is not host:port") }
        try options.check(host: target.host, encrypted: options.tlsCa != nil)
        let service = ServiceSelf(role: .client, secret: []) { ClusterState() }
        var logger = Logger(label: "sluice") { _ in SwiftLogNoOpLogHandler() }
        logger.logLevel = .critical
        client = FrameClient(
            name: address, host: target.host, port: target.port, service: service,
            group: MultiThreadedEventLoopGroup.singleton, tls: options.tls, connections: connections, logger: logger)
        authorization = try options.authorization()
    }

    func call(_ path: CallPath, _ body: [UInt8], timeout: Duration) async throws(ProtocolError) -> [UInt8] {
        try await client.call(path, body, authorization: authorization, timeout: timeout)
    }

    func shutdown() async { await client.shutdown() }
}

extension ProtocolError {
    /// Every fault on a line of its own.
    var lines: String {
        ([message.printable] + faults.map { "  " + "\($0.field): \($0.reason)".printable }).joined(separator: "\n")
    }
}

/// Ends the command with a message and exit code 1.
struct Failure: Error, CustomStringConvertible {
    var description: String

    init(_ description: String) { self.description = description }

    init(_ error: ProtocolError) { description = error.lines }
}
