import NIOCore
import NIOPosix
import NIOSSL

/// A health check without an HTTP client: sends one request and reads the status line. The certificate is not checked, since the
/// process asks itself.
enum HealthProbe {
    /// Whether `GET /healthz` answers 200; false after 3 s without a connection, or without an answer.
    static func ask(host: String, port: Int, tls: Bool) async -> Bool {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let answered = loop.makePromise(of: Bool.self)
        let bootstrap = ClientBootstrap(group: loop).connectTimeout(.seconds(3)).channelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
                if tls { try channel.pipeline.syncOperations.addHandler(try tlsHandler()) }
                try channel.pipeline.syncOperations.addHandler(Asker(host: host, answered: answered))
            }
        }
        do {
            let channel = try await bootstrap.connect(host: host, port: port).get()
            loop.scheduleTask(in: .seconds(3)) { channel.close(promise: nil) }
            return try await answered.futureResult.get()
        } catch {
            answered.succeed(false)
            return false
        }
    }

    private static func tlsHandler() throws -> NIOSSLClientHandler {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.certificateVerification = .none
        return try NIOSSLClientHandler(context: try NIOSSLContext(configuration: configuration), serverHostname: nil)
    }

    private final class Asker: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer
        private let host: String
        private let answered: EventLoopPromise<Bool>
        private var text = ""

        init(host: String, answered: EventLoopPromise<Bool>) {
            self.host = host
            self.answered = answered
        }

        func channelActive(context: ChannelHandlerContext) {
            let request = "GET /healthz HTTP/1.1\r\nHost: \(host.contains(":") ? "[\(host)]" : host)\r\nConnection: close\r\n\r\n"
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: request)), promise: nil)
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            text += String(buffer: unwrapInboundIn(data))
            guard text.utf8.count >= 12 else { return }
            answered.succeed(text.hasPrefix("HTTP/1.1 200"))
            context.close(promise: nil)
        }

        func channelInactive(context: ChannelHandlerContext) { answered.succeed(false) }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }
}
