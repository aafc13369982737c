import FunnelModel
import FunnelProtocol
import Logging
import NIOPosix
import RPC
import ServiceRuntime

/// Wire calls of the command line to one service.
struct WireClient: Sendable {
    private let client: FrameClient
    private let authorization: String?

    init(_ address: String, _ options: KeyOptions, connections: Int = 1) throws {
        guard let target = parseAddress(address) else { throw Failure("--to must be host:port, not \"\(address.printable)\"") }
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

    /// Calls `each` with the body of every frame of the answer, in order.
    func call(
        _ path: CallPath, _ body: [UInt8], timeout: Duration, each: ([UInt8]) throws(ProtocolError) -> Void
    ) async throws(ProtocolError) {
        try await client.call(path, body, authorization: authorization, timeout: timeout, each: each)
    }

    func shutdown() async { await client.shutdown() }
}
