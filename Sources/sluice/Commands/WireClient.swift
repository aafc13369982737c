import FunnelModel
import FunnelProtocol
import Logging
import NIOPosix
import RPC
import ServiceRuntime

/// Wire calls of the command line to one service.
struct WireClient: Sendable {
    let address: String
    private let service: CalledService
    private let client: FrameClient
    private let authorization: String?
    private let usesTLS: Bool

    init(_ address: String, of service: CalledService, _ options: KeyOptions, connections: Int = 1) throws {
        guard let target = parseAddress(address) else { throw Failure("--to \(addressFault(address) ?? "")") }
        try options.base.check(host: target.host, encrypted: options.tlsCa != nil, advice: "give --tls-ca FILE")
        self.address = address
        self.service = service
        usesTLS = options.tls != nil
        let own = ServiceSelf(role: .client, secret: []) { ClusterState() }
        var logger = Logger(label: "sluice") { _ in SwiftLogNoOpLogHandler() }
        logger.logLevel = .critical
        client = FrameClient(
            name: address, host: target.host, port: target.port, service: own,
            group: MultiThreadedEventLoopGroup.singleton, tls: options.tls, connections: connections, logger: logger)
        authorization = try options.base.authorization()
    }

    /// - Parameter project: that of the API key must be this one; 0 is any.
    func call(_ path: CallPath, _ body: [UInt8], project: UInt32 = 0, timeout: Duration) async throws(ProtocolError) -> [UInt8] {
        do throws(ProtocolError) {
            return try await client.call(path, body, project: project, authorization: authorization, timeout: timeout)
        } catch {
            throw named(error)
        }
    }

    /// Calls `each` with the body of every frame of the answer, in order.
    func call(
        _ path: CallPath, _ body: [UInt8], timeout: Duration, each: ([UInt8]) throws(ProtocolError) -> Void
    ) async throws(ProtocolError) {
        do throws(ProtocolError) { try await client.call(path, body, authorization: authorization, timeout: timeout, each: each) } catch {
            throw named(error)
        }
    }

    /// The error with the address in its message, unless the service itself reports it.
    private func named(_ error: ProtocolError) -> ProtocolError {
        var named = error
        if error.code == .notAuthenticated, authorization == nil { named.message = "\(address): \(HTTPKeyOptions.keyNeeded)" }
        if error.shards == [address] { named.message = error.text(from: address) }
        return named
    }

    /// The message of an error for a text that has the address already.
    func reason(_ error: ProtocolError) -> String {
        String(error.message.replacing(" to \(address):", with: ":", maxReplacements: 1).trimmingPrefix("\(address): "))
    }

    func shutdown() async { await client.shutdown() }

    /// What to do about an error that comes from a port of another kind or of another service; nil for other errors.
    func hint(_ error: ProtocolError) -> String? {
        if error.code == .unknownKind { return "\(address) does not take this call: \(service.needsWire)" }
        guard [.unreachable, .connectionLost].contains(error.code), let target = parseAddress(address) else { return nil }
        let isHTTP = "\(address) looks like an HTTP port: \(service.needsWire)"
        // With TLS, the peer names the protocols that it takes.
        if error.message.contains("does not offer h2") { return isHTTP }
        switch PortKind.of(host: target.host, port: target.port) {
        case .http: return isHTTP
        case .tls where !usesTLS: return "\(address) uses TLS: give --tls-ca FILE"
        case .wire where usesTLS: return "\(address) does not use TLS: leave --tls-ca out"
        case .wire, .tls, .unknown: return nil
        }
    }
}
