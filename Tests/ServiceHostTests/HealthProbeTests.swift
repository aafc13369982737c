import NIOCore
import NIOPosix
import ServiceHost
import ServiceRuntime
import Synchronization
import Testing

/// The `health` subcommand: true for an answer of 200 of the address that the settings name, and false for everything else.
@Suite(.timeLimit(.minutes(2)))
struct HealthProbeTests {
    private func ask(_ port: Int, host: String = "127.0.0.1", tls: Bool = false) async throws -> Bool {
        let table = SettingsTable(program: "p", summary: "s", example: "e", settings: CommonSettings.all(http: 8_080, wire: 8_090))
        let arguments = ["health", "--host", host, "--http-port", "\(port)"] + (tls ? ["--tls-cert", "cert.pem"] : [])
        return await ServiceServer.askHealth(try Settings.resolve(table, arguments: arguments, environment: [:]) { _ in nil }.0)
    }

    /// What a peer does once it was asked.
    private struct Answer: Sendable {
        /// Sent one after the other.
        var pieces: [String]
        var closes = true
    }

    private final class Peer: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer
        private let answer: Answer
        private let asked: Asked
        private var text = ""
        private var isAnswered = false

        init(_ answer: Answer, _ asked: Asked) {
            self.answer = answer
            self.asked = asked
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            text += String(buffer: unwrapInboundIn(data))
            guard !isAnswered else { return }
            isAnswered = true
            asked.texts.withLock { $0.append(text) }
            for piece in answer.pieces { context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: piece)), promise: nil) }
            if answer.closes { context.close(promise: nil) }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }

    private final class Asked: Sendable {
        let texts = Mutex<[String]>([])
    }

    /// Runs the body with the port of a peer.
    private func withPeer(_ answer: Answer, _ body: (Int) async throws -> Void) async throws -> [String] {
        let asked = Asked()
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(Peer(answer, asked)) }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        do {
            try await body(listener.localAddress?.port ?? 0)
        } catch {
            try? await listener.close()
            throw error
        }
        try? await listener.close()
        return asked.texts.withLock { $0 }
    }

    @Test func aServiceThatLivesIsHealthy() async throws {
        try await withEdge { _ in
        } _: { port in
            for host in ["127.0.0.1", "localhost", "0.0.0.0", "::"] {
                let isHealthy = try await ask(port, host: host)
                #expect(isHealthy, "\(host)")
            }
        }
    }

    @Test(arguments: [
        ["HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n"], ["HTTP/1.1 200\r\n\r\n"],
        ["H", "T", "T", "P", "/", "1", ".", "1", " ", "2", "0", "0", " ", "OK\r\n\r\n"], ["HTTP/1.1 ", "200 OK\r\n\r\n"],
    ])
    func twoHundredInAnyPiecesIsHealthy(pieces: [String]) async throws {
        for closes in [true, false] {
            let asked = try await withPeer(Answer(pieces: pieces, closes: closes)) { port in
                let isHealthy = try await ask(port)
                #expect(isHealthy)
            }
            #expect(asked == ["GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"])
        }
    }

    @Test(arguments: [
        ["HTTP/1.1 503 Service Unavailable\r\n\r\n"], ["HTTP/1.1 404 Not Found\r\n\r\n200"], ["HTTP/1.1 301 Moved\r\n\r\n"],
        ["HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"], ["HTTP/1.1 20"], ["SSH-2.0-OpenSSH_9.6\r\n"],
        ["\u{15}\u{3}\u{3}\u{0}\u{2}\u{2}F"], ["\r\nHTTP/1.1 200 OK\r\n\r\n"], [], [String(repeating: "x", count: 1 << 20)],
    ])
    func anyOtherAnswerIsNot(pieces: [String]) async throws {
        _ = try await withPeer(Answer(pieces: pieces)) { port in
            let isHealthy = try await ask(port)
            #expect(!isHealthy)
        }
    }

    /// The probe gives up by itself, or a container's health check would wait for its own limit.
    @Test(arguments: [[], ["HTTP/1.1 2"]])
    func aPeerThatFallsSilentIsNot(pieces: [String]) async throws {
        let asked = try await withPeer(Answer(pieces: pieces, closes: false)) { port in
            let isHealthy = try await ask(port)
            #expect(!isHealthy)
        }
        #expect(asked.count == 1)
    }

    @Test func aPeerWithoutTLSIsNotHealthyWhereTLSIsSet() async throws {
        _ = try await withPeer(Answer(pieces: ["HTTP/1.1 400 Bad Request\r\n\r\n"])) { port in
            let isHealthy = try await ask(port, tls: true)
            #expect(!isHealthy)
        }
    }

    @Test(arguments: ["127.0.0.1", "", "no such host", "[::1", "127.0.0.1:80", "999.1.1.1", "host.invalid"])
    func whereNobodyListensNobodyIsHealthy(host: String) async throws {
        // Ports that nobody listens on: 1 needs a program of the system, 0 is none.
        for port in [0, 1] {
            let isHealthy = try await ask(port, host: host)
            #expect(!isHealthy, "\(host):\(port)")
        }
    }
}
