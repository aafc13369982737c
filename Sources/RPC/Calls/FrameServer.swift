import FunnelModel
import FunnelProtocol
import Logging
import NIOCore

/// One call whose frame was read and whose caller was checked.
package struct FrameCall: Sendable {
    package let frame: Frame
    /// The peer's proven role; nil for a client.
    package let peer: Role?
    package let authorization: String?
    private let call: ServerCall
    private let answer: FrameContext

    init(frame: Frame, peer: Role?, call: ServerCall, answer: FrameContext) {
        self.frame = frame
        self.peer = peer
        self.authorization = call.head.authorization
        self.call = call
        self.answer = answer
    }

    /// The part of the caller's address to which limits apply.
    package var address: String { call.connection.limitAddress }
    package var isCancelled: Bool { call.isCancelled }

    /// The IP address that the call comes from; nil if it has none.
    package var callerAddress: String? { call.connection.ipAddress }

    package func onCancel(_ body: @escaping @Sendable () -> Void) { call.onCancel(body) }

    /// The writer of the call's answer; to be made once per call.
    package func writer() -> FrameAnswer { FrameAnswer(call: call, context: answer) }
}

/// Sends an answer frame by frame; suspends while the caller does not read.
package struct FrameAnswer {
    private let call: ServerCall
    private var writer: AnswerWriter
    private var gathered: [UInt8] = []

    init(call: ServerCall, context: FrameContext) {
        self.call = call
        writer = AnswerWriter(context)
    }

    package mutating func send(_ kind: FrameKind, _ body: [UInt8]) async throws {
        try await call.write(ByteBuffer(bytes: writer.frame(kind, body)))
    }

    /// The same, but `run` encodes a body of more than 256 KiB, for example on another thread.
    package mutating func send(
        _ kind: FrameKind, _ body: [UInt8],
        through run: (@escaping @Sendable () -> (AnswerWriter, [UInt8])) async throws -> (AnswerWriter, [UInt8])
    ) async throws {
        guard body.count > 1 << 18 else { return try await send(kind, body) }
        let before = writer
        let (after, frame) = try await run {
            var writer = before
            let frame = writer.frame(kind, body)
            return (writer, frame)
        }
        writer = after
        try await call.write(ByteBuffer(bytes: frame))
    }

    /// Keeps a frame until `sendGathered`, so that its source can be released before a slow caller reads.
    package mutating func gather(_ kind: FrameKind, _ body: [UInt8]) { gathered += writer.frame(kind, body) }

    package mutating func sendGathered() async throws {
        let bytes = ByteBuffer(bytes: gathered)
        gathered = []
        try await call.write(bytes)
    }

    /// Sends the trailer and ends the answer.
    package func end(rows: Int) async throws {
        try await call.write(ByteBuffer(bytes: writer.end(rows: UInt64(rows))))
        try await call.finish()
    }

    mutating func fail(_ error: ProtocolError) async throws {
        try await call.write(ByteBuffer(bytes: writer.fail(error)))
        try await call.finish()
    }
}

/// Takes the wire calls of one service: reads the frame, checks cluster and caller, and hands on to a route.
package final class FrameServer: CallHandler {
    /// Who may make a call.
    package enum Callers: Sendable {
        case anyone
        /// Holders of a key of this role. The closure returns the keys for each call; an error that it throws is the answer.
        case keys(KeyRole, @Sendable () throws(ProtocolError) -> KeyRing)
        case services([Role])
    }

    /// A call, who may make it, and its handler. An error of the handler becomes the answer.
    package struct Route: Sendable {
        package var path: CallPath
        package var callers: Callers
        package var handle: @Sendable (FrameCall) async throws -> Void

        package init(
            _ path: CallPath, _ callers: Callers, handle: @escaping @Sendable (FrameCall) async throws -> Void
        ) {
            self.path = path
            self.callers = callers
            self.handle = handle
        }
    }

    private let service: ServiceSelf
    private let routes: [String: Route]
    private let guesses: KeyGuesses
    private let observer: (any CallObserver)?
    private let logger: Logger

    /// A server of these calls, and of hello.
    /// - Parameters:
    ///   - guesses: counts keys that fail, over all ports of the process.
    ///   - observer: notified of every call whose header was accepted; the others are counted as refusals of the port.
    package init(
        _ service: ServiceSelf, routes: [Route], guesses: KeyGuesses = KeyGuesses(), observer: (any CallObserver)? = nil, logger: Logger
    ) {
        self.service = service
        self.guesses = guesses
        self.observer = observer
        self.logger = logger
        let hello = Route(.hello, .anyone) { _ in }
        self.routes = Dictionary((routes + [hello]).map { ($0.path.rawValue, $0) }) { first, _ in first }
    }

    /// Refuses invalid calls from the head alone, so that strangers cannot send bodies.
    package func check(_ head: CallHead, on connection: ServerConnection) -> HeadVerdict {
        guard let route = routes[head.path] else { return Self.plain(404, "unknown path") }
        guard head.method == "POST" else { return Self.plain(405, "use POST") }
        guard head.contentType == "application/x-sluice" else { return Self.plain(415, "content-type must be application/x-sluice") }
        do {
            switch route.callers {
            case .anyone: break
            case .keys(let role, let keys):
                _ = try guesses.admit(keys(), head.authorization, for: role, from: connection.limitAddress)
            case .services(let roles): try admit((connection.attachment() as? PeerState)?.proven, roles, route)
            }
        } catch {
            return .answer(refusal(error))
        }
        return .take(bodyMax: FrameHeader.size + route.path.request.bodyMax)
    }

    private func admit(_ proven: Role?, _ roles: [Role], _ route: Route) throws(ProtocolError) {
        guard let proven else { throw ProtocolError(.notAuthenticated, "this call needs a service's hello") }
        guard roles.contains(proven) else { throw ProtocolError(.forbidden, "\(proven) may not call \(route.path)") }
    }

    private static func plain(_ status: Int, _ text: String) -> HeadVerdict {
        .answer(EarlyAnswer(status: status, contentType: "text/plain", body: ByteBuffer(string: text + "\n"), reason: .request))
    }

    private func refusal(_ error: ProtocolError) -> EarlyAnswer {
        let cluster = service.cluster()
        var writer = AnswerWriter(FrameContext(cluster: cluster.id, epoch: cluster.epoch))
        let reason: WireRefusal =
            switch error.code {
            case .forbidden: .forbidden
            case .notReady: .notReady
            default: error.retryAfterMilliseconds > 0 ? .guesses : .notAuthenticated
            }
        return EarlyAnswer(
            status: 200, contentType: "application/x-sluice", body: ByteBuffer(bytes: writer.fail(error)), reason: reason)
    }

    package func handle(_ call: ServerCall) async {
        // `check` has seen the head.
        guard let route = routes[call.head.path] else { return }
        let start = observer == nil ? nil : ContinuousClock.now
        let code: ProtocolError.Code?
        do {
            code = try await TraceParent.of(call.head.trace) { try await answer(call, route) }
        } catch {
            // The caller went away or its connection broke: nobody waits for an answer.
            logger.debug("call ended early", metadata: ["path": "\(call.head.path)", "error": "\(words(error))"])
            code = (error as? TransportError)?.isDeadline == true ? .deadlineExceeded : .cancelled
        }
        if let start { observer?.ended(route.path, code: code, took: ContinuousClock.now - start) }
    }

    /// Answers one call.
    /// - Returns: the error that was the answer, if one was.
    private func answer(_ call: ServerCall, _ route: Route) async throws -> ProtocolError.Code? {
        try await call.respond(status: 200, contentType: "application/x-sluice", tellsTime: route.path == .snapshot)
        let cluster = service.cluster()
        var context = FrameContext(cluster: cluster.id, epoch: cluster.epoch)
        do {
            let frame = try FrameDecoder.single(call.body.readableBytesView)
            context.request = frame.context.request
            context.project = frame.context.project
            try await serve(route, frame, call, context)
            return nil
        } catch is CancellationError {
            throw CancellationError()
        } catch let error as TransportError {
            throw error
        } catch {
            let answer = ProtocolError(of: error)
            if answer.code == .unknownError, !(error is ProtocolError) {
                logger.error(
                    "call failed", metadata: Self.traced(["path": "\(route.path.rawValue)", "error": "\(words(error))"], call))
            }
            return try await fail(call, context, answer)
        }
    }

    private func fail(_ call: ServerCall, _ context: FrameContext, _ error: ProtocolError) async throws -> ProtocolError.Code {
        var answer = FrameAnswer(call: call, context: context)
        try await answer.fail(error)
        return error.code
    }

    private func serve(_ route: Route, _ frame: Frame, _ call: ServerCall, _ context: FrameContext) async throws {
        guard frame.kind == route.path.request else {
            throw ProtocolError(.invalidMessage, "\(route.path.rawValue) takes \(route.path.request), not \(frame.kind)")
        }
        if frame.context.cluster != 0, context.cluster != 0, frame.context.cluster != context.cluster {
            throw ProtocolError(
                .foreignCluster, "this is cluster \(idText(context.cluster)), the call is for \(idText(frame.context.cluster))")
        }
        let peer = call.connection.attachment() as? PeerState
        if route.path == .health, !frame.body.isEmpty { throw ProtocolError(.invalidMessage, "a health call has no body") }
        if route.path == .hello { return try await hello(frame, call, context) }
        // Checked again, since a new hello may have begun meanwhile.
        if case .services(let roles) = route.callers { try admit(peer?.proven, roles, route) }
        let start = ContinuousClock.now
        defer {
            logger.debug(
                "call",
                metadata: Self.traced(
                    [
                        "path": "\(route.path.rawValue)", "call": "\(context.request)",
                        "peer": "\(peer?.proven.map { "\($0)" } ?? "client")", "took": "\(ContinuousClock.now - start)",
                    ], call))
        }
        try await route.handle(FrameCall(frame: frame, peer: peer?.proven, call: call, answer: context))
    }

    /// The metadata of a line about a call, with the call's trace.
    private static func traced(_ metadata: Logger.Metadata, _ call: ServerCall) -> Logger.Metadata {
        guard let trace = call.head.trace else { return metadata }
        return metadata.merging(["traceparent": "\(trace)"]) { $1 }
    }

    private func hello(_ frame: Frame, _ call: ServerCall, _ context: FrameContext) async throws {
        let message = try decoding("hello") { () throws(ByteError) in try Hello(body: frame.body) }
        try Self.checkCertificate(message.role, call.connection)
        var peer = call.connection.attachment() as? PeerState
        if peer == nil {
            peer = PeerState()
            call.connection.setAttachment(peer)
        }
        guard let result = try peer?.receive(message, as: service) else { return }
        if peer?.proven != nil { call.connection.prove() }
        var answer = FrameAnswer(call: call, context: context)
        try await answer.send(.helloResult, result.body)
        try await answer.end(rows: 1)
    }

    /// Where certificates name roles, a service's must name the one that it says it has.
    private static func checkCertificate(_ role: Role, _ connection: ServerConnection) throws(ProtocolError) {
        guard role != .client, let names = connection.certificateNames, !names.contains(role.certificateName) else { return }
        throw ProtocolError(
            .forbidden, "the caller has no certificate with the DNS name \(role.certificateName), which the role \(role) needs here")
    }
}
