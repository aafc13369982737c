import FunnelModel
import HTTP2
import Logging
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization

/// Accepts HTTP/2 connections and gives each complete request to a handler.
package final class TransportServer: Sendable {
    private let group: any EventLoopGroup
    private let host: String
    private let port: Int
    private let tls: TLSFiles?
    private let shared: ServerShared
    private let listener = Mutex<(any Channel)?>(nil)

    /// Nothing happens before `start`.
    package init(
        group: any EventLoopGroup, host: String, port: Int, tls: TLSFiles?, limits: TransportLimits,
        logger: Logger, handler: any CallHandler
    ) {
        self.group = group
        self.host = host
        self.port = port
        self.tls = tls
        shared = ServerShared(limits: limits, logger: logger, handler: handler)
    }

    /// Counters.
    package var stats: TransportServerStats { shared.stats }

    /// What was refused since the start, by reason.
    package var refusals: Refusals<WireRefusal> { shared.refusals }

    /// Binds and accepts; returns the address, useful with port 0.
    package func start() async throws -> (host: String, port: Int) {
        let (tls, shared) = (tls, shared)
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelOption(.backlog, value: 256)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 64 * 1024))
            .childChannelOption(.maxMessagesPerRead, value: 4)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try Self.configure(channel, tls: tls, shared: shared) }
            }
        let channel: any Channel
        do {
            channel = try await bootstrap.bind(host: host, port: port).get()
        } catch {
            throw TransportError(.failed, "cannot listen on \(addressText(host, port)): \(connectionWords(error))")
        }
        listener.withLock { $0 = channel }
        return (channel.localAddress?.ipAddress ?? host, channel.localAddress?.port ?? port)
    }

    /// Stops accepting, sends GOAWAY, lets running calls finish until `grace` is over, then closes what is left and
    /// waits a little for cancelled handlers.
    package func shutdown(grace: Duration) async {
        let listening = listener.withLock { slot in
            defer { slot = nil }
            return slot
        }
        try? await listening?.close()
        let channels = shared.beginDraining()
        let loop = group.any()
        let time = TimeAmount.nanoseconds(grace.boundedNanoseconds)
        let timer = loop.scheduleTask(in: time) {
            for channel in channels { channel.close(promise: nil) }
        }
        _ = try? await EventLoopFuture.whenAllComplete(channels.map(\.closeFuture), on: loop).get()
        timer.cancel()
        let shared = shared
        let patience = loop.scheduleTask(in: min(max(time, .milliseconds(100)), .seconds(5))) { shared.stopWaiting() }
        await shared.waitForHandlers()
        patience.cancel()
    }

    private static func configure(_ channel: any Channel, tls: TLSFiles?, shared: ServerShared) throws {
        let mailbox = TransportMailbox<ServerOperation>(eventLoop: channel.eventLoop)
        let address = limitAddress(channel.remoteAddress)
        let place = try admit(channel, address, shared)
        let admitted = shared.register(channel, address, mailbox: mailbox)
        channel.closeFuture.whenComplete { _ in
            shared.places.leave(place)
            shared.forget(admitted.id, address)
        }
        let remote = channel.remoteAddress.map { "\($0)" } ?? "unknown"
        let connection = ServerConnection(
            id: admitted.id, remoteAddress: remote, limitAddress: address, ipAddress: channel.remoteAddress?.ipAddress
        ) {
            shared.places.promote(place)
        }
        let driver = ServerDriver(
            shared: shared, connection: connection, place: place, bodies: admitted.bodies, mailbox: mailbox,
            eventLoop: channel.eventLoop)
        if let tls {
            if tls.namesRoles { connection.setCertificateNames([]) }
            let gate = ALPNGate(certificateNames: tls.namesRoles ? { connection.setCertificateNames($0) } : nil)
            try channel.pipeline.syncOperations.addHandlers([NIOSSLServerHandler(context: tls.wire), gate])
        }
        let handler = try HTTP2Handler(role: .server, limits: shared.limits.http2, delegate: driver)
        try channel.pipeline.syncOperations.addHandler(handler)
    }

    private static func admit(_ channel: any Channel, _ address: String, _ shared: ServerShared) throws -> ConnectionPlaces.Place {
        let now = channel.eventLoop.now.uptimeNanoseconds
        switch shared.places.admit(address, now: now, close: { channel.close(promise: nil) }) {
        case .place(let place): return place
        case .onProbation(let place):
            let patience = TimeAmount.nanoseconds(shared.limits.proofTimeout.boundedNanoseconds)
            channel.eventLoop.scheduleTask(in: patience) {
                guard shared.places.isOnProbation(place) else { return }
                shared.refusals.count(.probation)
                channel.close(promise: nil)
            }
            return place
        case .refused:
            shared.refusals.count(.connections)
            throw TransportError(.refused, "too many connections")
        }
    }
}
