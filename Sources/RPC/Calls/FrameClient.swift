import FunnelModel
import FunnelProtocol
import Logging
import NIOCore
import Synchronization

/// Makes wire calls to one peer, as a service of the cluster or as a client, and turns every failure into a
/// `ProtocolError` that says what may be concluded.
package final class FrameClient: Sendable {
    /// In `shards` of the errors that this side finds. Their messages do not have it, since callers put it before them.
    package let name: String
    private let transport: TransportClient
    private let service: ServiceSelf
    private let offset = Mutex<Duration?>(nil)

    /// A client that connects when calls need it.
    /// - Parameters:
    ///   - expected: the peer that must answer at the address; nil is any that has the cluster secret.
    ///   - connections: max connections to the peer; calls are spread over them.
    package init(
        name: String, host: String, port: Int, service: ServiceSelf, expecting expected: ExpectedPeer? = nil,
        group: any EventLoopGroup, tls: TLSClientConfig?, connections: Int, logger: Logger
    ) {
        self.name = name
        self.service = service
        var handshake: (@Sendable (ClientConnection) async throws -> Void)?
        if service.role != .client {
            handshake = { connection in
                if let expected, let names = connection.certificateNames, !names.contains(expected.role.certificateName) {
                    throw ProtocolError(
                        .foreignCluster, "the certificate of the peer does not have the DNS name \(expected.role.certificateName)",
                        shards: [name])
                }
                try await FrameClient.prove(service, on: connection, peer: name)
                if let expected { try await FrameClient.check(expected, service, on: connection, peer: name, logger) }
            }
        }
        transport = TransportClient(
            group: group, host: host, port: port, tls: tls, connections: connections, limits: TransportLimits(),
            logger: logger, handshake: handshake)
    }

    package func shutdown() async { await transport.shutdown() }

    /// The peer's clock minus ours, minus the travel time of the answer, from the last answer that had a time; nil before the first.
    package var clockOffset: Duration? { offset.withLock { $0 } }

    /// Makes a call that has a single result frame, and returns its body.
    package func call(
        _ path: CallPath, _ body: [UInt8], project: UInt32 = 0, request: UInt64 = 0, authorization: String? = nil,
        timeout: Duration
    ) async throws(ProtocolError) -> [UInt8] {
        var result: [UInt8]?
        try await call(path, body, project: project, request: request, authorization: authorization, timeout: timeout) {
            result = $0
        }
        guard let result else { throw ProtocolError(.malformedFrame, "answer without a result", shards: [name]) }
        return result
    }

    /// Makes a call. Calls `each` with every result frame's body, in order; returns only after a valid trailer.
    package func call(
        _ path: CallPath, _ body: [UInt8], project: UInt32 = 0, request: UInt64 = 0, authorization: String? = nil,
        timeout: Duration, each: ([UInt8]) throws(ProtocolError) -> Void
    ) async throws(ProtocolError) {
        let cluster = service.cluster()
        let context = FrameContext(cluster: cluster.id, request: request, project: project, epoch: cluster.epoch)
        let frame = Frame(path.request, context, body: body).encode()
        do {
            let response = try await transport.call(
                path: path.rawValue, authorization: authorization, body: ByteBuffer(bytes: frame), timeout: timeout)
            if let time = response.time {
                let ahead = time - wallMilliseconds()
                offset.withLock { $0 = .milliseconds(ahead) }
            }
            try await Self.read(response, of: name, expecting: path.answers, each: each)
        } catch let error as ProtocolError {
            throw error
        } catch {
            throw Self.translate(error, peer: name)
        }
    }

    private static func read(
        _ response: ClientResponse, of peer: String, expecting kinds: Set<FrameKind>, each: ([UInt8]) throws(ProtocolError) -> Void
    ) async throws {
        guard response.status == 200 else {
            let text = try await response.collect(upTo: 4_096)
            let code: ProtocolError.Code = response.status == 404 ? .unknownKind : response.status == 413 ? .tooLarge : .malformedFrame
            throw ProtocolError(code, "HTTP \(response.status): \(String(buffer: text).prefix(200))", shards: [peer])
        }
        var reader = AnswerReader()
        while let chunk = try await response.next() {
            reader.feed(chunk.readableBytesView)
            while let frame = try next(&reader, peer) {
                guard kinds.contains(frame.kind) else {
                    throw ProtocolError(.malformedFrame, "answer holds \(frame.kind), which is not expected there", shards: [peer])
                }
                try each(frame.body)
            }
        }
        do throws(ProtocolError) { try reader.finish() } catch { throw error.asFaultOfAnswer(of: peer) }
    }

    /// The next result frame. Throws the peer's own error, or a fault of its answer.
    private static func next(_ reader: inout AnswerReader, _ peer: String) throws(ProtocolError) -> Frame? {
        do throws(ProtocolError) {
            return try reader.next()
        } catch {
            throw error == reader.failure ? error : error.asFaultOfAnswer(of: peer)
        }
    }

    /// Hello in both phases; the peer must prove the secret too, and be of our cluster once we know it.
    private static func prove(_ service: ServiceSelf, on connection: ClientConnection, peer: String) async throws {
        let nonce = randomBytes(Hello.nonceBytes)
        let first = try await hello(Hello(role: service.role, phase: 1, nonce: nonce), service, on: connection, peer: peer)
        guard service.accepts(first.proof, side: "server", clientNonce: nonce, serverNonce: first.nonce, role: service.role)
        else { throw ProtocolError(.notAuthenticated, "the peer does not have the cluster secret of this side", shards: [peer]) }
        let known = service.cluster().id
        if known != 0, first.cluster != 0, first.cluster != known {
            throw ProtocolError(
                .foreignCluster, "the peer is of cluster \(idText(first.cluster)), this side of \(idText(known))", shards: [peer])
        }
        let proof = service.proof(side: "client", clientNonce: nonce, serverNonce: first.nonce, role: service.role)
        _ = try await hello(Hello(role: service.role, phase: 2, nonce: nonce, proof: proof), service, on: connection, peer: peer)
    }

    /// Throws unless the connection reached the expected process: otherwise events of one shard's users could go to another.
    private static func check(
        _ expected: ExpectedPeer, _ service: ServiceSelf, on connection: ClientConnection, peer: String, _ logger: Logger
    ) async throws {
        let frame = Frame(.identityRequest, FrameContext(cluster: service.cluster().id), body: [])
        let response = try await connection.call(
            path: CallPath.identity.rawValue, authorization: nil, body: ByteBuffer(bytes: frame.encode()), timeout: .seconds(5))
        var identity: PeerIdentity?
        do {
            try await read(response, of: peer, expecting: [.identity]) { body throws(ProtocolError) in
                identity = try decodingAnswer("identity", of: peer) { () throws(ByteError) in try PeerIdentity(body: body) }
            }
        } catch let error as ProtocolError where error.isUnknownPath {
            return expected.warnOfOldPeer(peer, logger)
        }
        guard let identity else { throw ProtocolError(.malformedFrame, "identity without a result") }
        try expected.check(identity, service.cluster())
    }

    private static func hello(
        _ message: Hello, _ service: ServiceSelf, on connection: ClientConnection, peer: String
    ) async throws -> HelloResult {
        let frame = Frame(.hello, FrameContext(cluster: service.cluster().id), body: message.body)
        let response = try await connection.call(
            path: CallPath.hello.rawValue, authorization: nil, body: ByteBuffer(bytes: frame.encode()), timeout: .seconds(5))
        var result: HelloResult?
        try await read(response, of: peer, expecting: [.helloResult]) { body throws(ProtocolError) in
            result = try decodingAnswer("hello result", of: peer) { () throws(ByteError) in try HelloResult(body: body) }
        }
        guard let result else { throw ProtocolError(.malformedFrame, "hello without a result") }
        return result
    }

    /// Turns an error below the level of answers into a `ProtocolError`.
    static func translate(_ error: any Error, peer: String) -> ProtocolError {
        guard let error = error as? TransportError else {
            let code: ProtocolError.Code = error is CancellationError ? .cancelled : .unknownError
            return ProtocolError(code, words(error), shards: [peer])
        }
        let code: ProtocolError.Code
        if error.isDeadline {
            code = .deadlineExceeded
        } else if error.isCancellation {
            code = .cancelled
        } else {
            code = error.outcome == .refused ? .unreachable : .connectionLost
        }
        return ProtocolError(code, error.message, shards: [peer])
    }
}
