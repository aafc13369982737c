import FunnelModel
import HTTP2
import Logging
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization

/// A small pool of connections to one target. Connections are made when calls need them.
package final class TransportClient: Sendable {
    /// Runs on every new connection before other calls use it.
    package typealias Handshake = @Sendable (ClientConnection) async throws -> Void

    private typealias Waiter = CheckedContinuation<ClientConnection, any Error>

    private struct State {
        var pool: PoolState<ClientConnection, Waiter>
        var lastWaiter: UInt64 = 0
        var attempts: [UInt64: Task<Void, Never>] = [:]
        var lastAttempt: UInt64 = 0
        /// Every connection not yet closed, also those that take no new calls.
        var open: [ObjectIdentifier: ClientConnection] = [:]
    }

    private let group: any EventLoopGroup
    private let host: String
    private let port: Int
    private let tls: TLSClientConfig?
    private let limits: TransportLimits
    private let logger: Logger
    private let handshake: Handshake?
    private let state: Mutex<State>

    /// Does not connect yet.
    package init(
        group: any EventLoopGroup, host: String, port: Int, tls: TLSClientConfig?, connections: Int,
        limits: TransportLimits, logger: Logger, handshake: Handshake?
    ) {
        self.group = group
        self.host = host
        self.port = port
        self.tls = tls
        self.limits = limits
        self.logger = logger
        self.handshake = handshake
        state = Mutex(State(pool: PoolState(size: connections)))
    }

    /// Makes one call on the least loaded connection; returns with the response's head. The timeout covers connecting,
    /// the head and the body. A connection that turns out to be going away is replaced once. The call carries the task's trace.
    package func call(
        path: String, authorization: String?, body: ByteBuffer, timeout: Duration
    ) async throws -> ClientResponse {
        let deadline = NIODeadline.after(timeout)
        let trace = TraceParent.current
        let first = try await connection(before: deadline)
        do {
            return try await first.call(path: path, authorization: authorization, trace: trace, body: body, deadline: deadline)
        } catch let error as TransportError where error.outcome == .refused && !error.isDeadline && !first.isUsable {
            let second = try await connection(before: deadline)
            return try await second.call(path: path, authorization: authorization, trace: trace, body: body, deadline: deadline)
        }
    }

    /// Closes all connections; running calls fail. No calls after this.
    package func shutdown() async {
        let (open, waiters, attempts) = state.withLock { state in
            let (_, waiters) = state.pool.shutDown()
            return (Array(state.open.values), waiters, Array(state.attempts.values))
        }
        for waiter in waiters { waiter.resume(throwing: TransportError(.refused, "client shut down")) }
        for attempt in attempts { attempt.cancel() }
        for connection in open {
            connection.mailbox.post(.shutdown)
            connection.channel.eventLoop.execute { connection.channel.close(promise: nil) }
        }
        for connection in open { try? await connection.channel.closeFuture.get() }
        for attempt in attempts { await attempt.value }
    }

    // MARK: Choosing a connection

    private func connection(before deadline: NIODeadline) async throws -> ClientConnection {
        let id = state.withLock { state in
            state.lastWaiter += 1
            return state.lastWaiter
        }
        let expiry = Mutex<Scheduled<Void>?>(nil)
        defer { expiry.withLock { $0?.cancel() } }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: Waiter) in
                let (choice, connect) = state.withLock { state in
                    let result = state.pool.choose(now: .now()) { $0.load.load(ordering: .relaxed) }
                    if case .wait = result.choice { state.pool.addWaiter(continuation, id: id) }
                    return result
                }
                if connect { startAttempt() }
                switch choice {
                case .use(let connection):
                    continuation.resume(returning: connection)
                case .fail(let error):
                    continuation.resume(throwing: error)
                case .wait:
                    let task = group.any().scheduleTask(deadline: deadline) { [self] in
                        giveUp(id, TransportError(.refused, "deadline passed while connecting", isDeadline: true))
                    }
                    expiry.withLock { $0 = task }
                    if Task.isCancelled { giveUp(id, Self.cancelled) }
                }
            }
        } onCancel: {
            giveUp(id, Self.cancelled)
        }
    }

    private static var cancelled: TransportError { TransportError(.refused, "cancelled", isCancellation: true) }

    private func giveUp(_ id: UInt64, _ error: TransportError) {
        let waiter = state.withLock { $0.pool.removeWaiter(id: id) }
        waiter?.resume(throwing: error)
    }

    // MARK: Connecting

    private func startAttempt() {
        state.withLock { state in
            state.lastAttempt += 1
            let id = state.lastAttempt
            state.attempts[id] = Task { [self] in
                await attempt()
                self.state.withLock { _ = $0.attempts.removeValue(forKey: id) }
            }
        }
    }

    private func attempt() async {
        do {
            let connection = try await connect()
            let (waiters, isKept) = state.withLock { state in
                (state.pool.connected(connection), !state.pool.isShutDown)
            }
            for waiter in waiters { waiter.resume(returning: connection) }
            if !isKept { connection.channel.close(promise: nil) }
            connection.whenUnusable { [weak self, weak connection] in
                guard let self, let connection else { return }
                state.withLock { $0.pool.remove(connection) }
            }
        } catch {
            let reason = connectionWords(error)
            logger.debug("connect failed", metadata: ["target": "\(addressText(host, port))", "error": "\(reason)"])
            let waiters = state.withLock { $0.pool.failed(reason, now: .now()) }
            let refusal = TransportError(.refused, "cannot connect to \(addressText(host, port)): \(reason)")
            for waiter in waiters { waiter.resume(throwing: refusal) }
        }
    }

    private func connect() async throws -> ClientConnection {
        let context = try tls?.makeContext()
        let namesRoles = tls?.namesRoles ?? false
        let hostname = tls?.verifyHostname ?? host
        let limits = limits
        let authority = addressText(hostname, port)
        let timeout = TimeAmount.nanoseconds(limits.connectTimeout.boundedNanoseconds)
        let connection = try await ClientBootstrap(group: group)
            .connectTimeout(timeout)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 64 * 1024))
            .channelOption(.maxMessagesPerRead, value: 4)
            .connect(host: host, port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try Self.configure(
                        channel, tls: context, namesRoles: namesRoles, hostname: hostname, authority: authority, limits: limits)
                }
            }
        register(connection)
        let overdue = connection.channel.eventLoop.scheduleTask(in: timeout) {
            connection.channel.close(promise: nil)
        }
        defer { overdue.cancel() }
        do {
            try await connection.ready.get()
            try await handshake?(connection)
        } catch {
            connection.channel.close(promise: nil)
            throw error
        }
        return connection
    }

    /// Knows the connection until it is closed, so that shutdown finds it.
    private func register(_ connection: ClientConnection) {
        let key = ObjectIdentifier(connection)
        let isLate = state.withLock { state in
            state.open[key] = connection
            return state.pool.isShutDown
        }
        connection.channel.closeFuture.whenComplete { [weak self] _ in
            guard let self else { return }
            state.withLock { _ = $0.open.removeValue(forKey: key) }
        }
        if isLate { connection.channel.close(promise: nil) }
    }

    private static func configure(
        _ channel: any Channel, tls: NIOSSLContext?, namesRoles: Bool, hostname: String, authority: String, limits: TransportLimits
    ) throws -> ClientConnection {
        let mailbox = TransportMailbox<ClientOperation>(eventLoop: channel.eventLoop)
        let ready = channel.eventLoop.makePromise(of: Void.self)
        let connection = ClientConnection(channel: channel, mailbox: mailbox, ready: ready.futureResult)
        let driver = ClientDriver(
            connection: connection, authority: authority, scheme: tls == nil ? "http" : "https", ready: ready,
            eventLoop: channel.eventLoop
        )
        do {
            if let tls {
                // An address is no name: TLS then verifies the address itself.
                let isAddress = (try? SocketAddress(ipAddress: hostname, port: 0)) != nil
                let ssl = try NIOSSLClientHandler(context: tls, serverHostname: isAddress ? nil : hostname)
                if namesRoles { connection.setCertificateNames([]) }
                let gate = ALPNGate(certificateNames: namesRoles ? { connection.setCertificateNames($0) } : nil)
                try channel.pipeline.syncOperations.addHandlers([ssl, gate])
            }
            let handler = try HTTP2Handler(role: .client, limits: limits.http2, delegate: driver)
            try channel.pipeline.syncOperations.addHandler(handler)
        } catch {
            ready.fail(error)
            throw error
        }
        return connection
    }
}
