import Glibc
import HTTP2
import NIOCore
import NIOPosix
import RPC
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(2)))
struct LifecycleTests {
    private func makeServer(_ handler: some CallHandler, port: Int = 0) -> TransportServer {
        TransportServer(
            group: MultiThreadedEventLoopGroup.singleton, host: "127.0.0.1", port: port, tls: nil,
            limits: TransportLimits(), logger: quiet, handler: handler)
    }

    @Test func shutdownLetsRunningCallsFinishAndRefusesLaterOnes() async throws {
        let gate = Gate()
        let handler = ClosureHandler { call in
            await gate.pass()
            try await ClosureHandler.echo.body(call)
        }
        let server = makeServer(handler)
        let port = try await server.start().port
        try await withClient(port) { client in
            async let running = client.failure("/", pattern(1000))
            let isRunning = await eventually { server.stats.callsRunning == 1 }
            #expect(isRunning)
            async let shutdown: Void = server.shutdown(grace: .seconds(30))
            // Refused either by GOAWAY on the old connection or by the closed port.
            let isRefused = await eventually { await client.failure(timeout: .milliseconds(200))?.outcome == .refused }
            #expect(isRefused)
            #expect(server.stats.callsRunning >= 1)
            gate.open()
            #expect(await running == nil)
            await shutdown
            #expect(server.stats.connections == 0)
        }
    }

    @Test func shutdownCutsCallsAfterTheGrace() async throws {
        let server = makeServer(ClosureHandler { _ in try await Task.sleep(for: .seconds(60)) })
        let port = try await server.start().port
        try await withClient(port) { client in
            async let running = client.failure()
            let isRunning = await eventually { server.stats.callsRunning == 1 }
            #expect(isRunning)
            await server.shutdown(grace: .milliseconds(50))
            #expect(await running?.outcome == .unknown)
            #expect(server.stats.callsRunning == 0)
        }
    }

    @Test func clientReconnectsToARestartedServer() async throws {
        let reserved = try ReservedPort()
        defer { reserved.release() }
        let port = reserved.number
        let first = makeServer(ClosureHandler.echo, port: port)
        _ = try await first.start()
        try await withClient(port) { client in
            #expect(await client.failure() == nil)
            await first.shutdown(grace: .zero)
            let isRefused = await eventually { await client.failure()?.outcome == .refused }
            #expect(isRefused)
            let second = makeServer(ClosureHandler.echo, port: port)
            _ = try await second.start()
            let isBack = await eventually { await client.failure() == nil }
            #expect(isBack)
            await second.shutdown(grace: .milliseconds(200))
        }
    }

    @Test func callsMoveToANewConnectionWhenTheOldOneGoesAway() async throws {
        var limits = TransportLimits()
        limits.idleTimeout = .milliseconds(700)
        let handshakes = Counter()
        try await withServer(ClosureHandler.echo, limits: limits) { server, port in
            try await withClient(port, handshake: { _ in handshakes.add() }) { client in
                #expect(await client.failure() == nil)
                let isGone = await eventually { server.stats.connections == 0 }
                #expect(isGone)
                // The server counts its connection as gone before the client has read its GOAWAY: calls may be refused until then.
                let hasMoved = await eventually { await client.failure() == nil }
                #expect(hasMoved)
                #expect(handshakes.value >= 2)
            }
        }
    }

    @Test func connectFailureIsRefusedAndBackoffFailsFast() async throws {
        let reserved = try ReservedPort()
        defer { reserved.release() }
        let words = try await withClient(reserved.number) { client in await self.refusals(client, 200) }
        let attempts = words.filter { $0.hasPrefix("cannot connect to ") }
        let fast = words.filter { $0.hasPrefix("not connected, waiting to try again: ") }
        // A hundred attempts take minutes: the pause between two grows to 2 s.
        #expect(attempts.count + fast.count == 200 && (1..<100).contains(attempts.count), "\(attempts.count) attempts")
    }

    /// The errors of this many calls, made one after the other.
    private func refusals(_ client: TransportClient, _ count: Int) async -> [String] {
        var words: [String] = []
        for _ in 0..<count {
            let error = await client.failure()
            #expect(error?.outcome == .refused && error?.isDeadline == false)
            words.append(error?.message ?? "none")
        }
        return words
    }

    @Test func everyCallThatDoesNotFailFastIsOneAttempt() async throws {
        struct NotWelcome: Error {}
        let attempts = Counter()
        let handshake: TransportClient.Handshake = { _ in
            attempts.add()
            throw NotWelcome()
        }
        try await withServer(ClosureHandler.echo) { _, port in
            let words = try await withClient(port, handshake: handshake) { client in await self.refusals(client, 200) }
            let tried = words.filter { $0.hasPrefix("cannot connect to ") }
            #expect(tried.count == attempts.value && (1..<100).contains(tried.count), "\(tried.count), \(attempts.value) attempts")
        }
    }

    @Test func failedHandshakeRefusesCalls() async throws {
        struct NotWelcome: Error {}
        try await withServer(ClosureHandler.echo) { server, port in
            try await withClient(port, handshake: { _ in throw NotWelcome() }) { client in
                #expect(await client.failure()?.outcome == .refused)
            }
            let isGone = await eventually { server.stats.connections == 0 }
            #expect(isGone)
            #expect(server.stats.callsTotal == 0)
        }
    }

    @Test func peerThatIsNoHTTP2ServerIsRefused() async throws {
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.writeAndFlush(ByteBuffer(string: "HTTP/1.1 400 Bad Request\r\n\r\n"))
            }
            .bind(host: "127.0.0.1", port: 0).get()
        try await withClient(listener.localAddress?.port ?? 0) { client in
            #expect(await client.failure()?.outcome == .refused)
        }
        try await listener.close()
    }

    @Test func silentPeerIsRefusedAfterTheConnectTimeout() async throws {
        var limits = TransportLimits()
        limits.connectTimeout = .milliseconds(100)
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0).get()
        let port = listener.localAddress?.port ?? 0
        try await withClient(port, limits: limits) { client in
            #expect(await client.failure()?.outcome == .refused)
        }
        try await withClient(port) { client in
            let error = await client.failure(timeout: .milliseconds(50))
            #expect(error?.isDeadline == true)
            #expect(error?.outcome == .refused)
        }
        try await listener.close()
    }

    @Test func deadlineIsADeadlineWhoeverNoticesItFirst() async throws {
        let handshakes = Counter()
        let handler = ClosureHandler { call in
            if call.head.path == "/hang" { try await Task.sleep(for: .seconds(60)) }
            try await ClosureHandler.echo.body(call)
        }
        try await withServer(handler) { _, port in
            try await withClient(port, handshake: { _ in handshakes.add() }) { client in
                #expect(await client.failure() == nil)
                #expect(await client.failure("/hang", timeout: .seconds(1))?.isDeadline == true)
                #expect(await client.failure() == nil)
                // Whose clock strikes first decides whether the server was heard, and with it the fate of the connection.
                #expect((1...2).contains(handshakes.value))
            }
        }
    }

    @Test func shutDownClientRefuses() async throws {
        try await withServer(ClosureHandler.echo) { _, port in
            try await withClient(port) { client in
                #expect(await client.failure() == nil)
                await client.shutdown()
                #expect(await client.failure()?.outcome == .refused)
            }
        }
    }

    @Test(arguments: ["", "GET / HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnonsense follows here"])
    func badPeersAreClosedAndOthersGoOn(text: String) async throws {
        try await withServer(ClosureHandler.echo) { server, port in
            try await withClient(port) { client in
                #expect(await client.failure() == nil)
                if text.isEmpty {
                    try await RawSocket.open(port).executeThenClose { _, _ in }
                } else {
                    _ = try await RawSocket.exchange(port, Array(text.utf8))
                }
                let isGone = await eventually { server.stats.connections == 1 }
                #expect(isGone)
                #expect(await client.failure() == nil)
            }
        }
    }

    @Test func floodingPeerIsToldToCalmDownAndClosed() async throws {
        try await withServer(ClosureHandler.echo) { _, port in
            let settings: [UInt8] = [0, 0, 0, 4, 0, 0, 0, 0, 0]
            let priority: [UInt8] = [0, 0, 5, 2, 0, 0, 0, 0, 1, 0, 0, 0, 0, 16]
            var bytes = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + settings
            for _ in 0..<3000 { bytes += priority }
            let answer = try await RawSocket.exchange(port, bytes)
            #expect(answer.suffix(4) == [0, 0, 0, 11])
        }
    }
}

/// A free port of this machine that is given to nobody else meanwhile: bound, and never listening. Connections to it are refused,
/// while a server can listen on it, since both let others bind it too.
private struct ReservedPort {
    let number: Int
    private let descriptor: Int32

    init() throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var isShared: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &isShared, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let descriptor = descriptor
        let isBound = withUnsafeMutableBytes(of: &address) { bytes in
            bytes.withMemoryRebound(to: sockaddr.self) { address in
                var length = socklen_t(bytes.count)
                return bind(descriptor, address.baseAddress, length) == 0 && getsockname(descriptor, address.baseAddress, &length) == 0
            }
        }
        guard isBound else { throw IOError(errnoCode: errno, reason: "bind") }
        number = Int(UInt16(bigEndian: address.sin_port))
    }

    func release() { close(descriptor) }
}
