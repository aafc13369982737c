import Foundation
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization

/// An HTTP server of a test: counts connections, keeps requests, and answers each with the next of the given answers.
final class LocalServer: Sendable {
    struct Request: Sendable {
        var line: String
        /// By name in lower case.
        var headers: [String: String]
        var body: [UInt8]
    }

    enum Answer: Sendable {
        case status(Int, headers: [String] = [], body: String = "")
        /// Nothing at all.
        case silence
        /// A head that promises more bytes than come.
        case stalled(Int)
        /// A body without an end.
        case endless(Int)
    }

    private struct State {
        var connections = 0
        var closed = 0
        var requests: [Request] = []
        var answers: [Answer]
    }

    private let state: Mutex<State>
    private let channel: Mutex<(any NIOCore.Channel)?> = Mutex(nil)

    private init(_ answers: [Answer]) { state = Mutex(State(answers: answers)) }

    /// - Parameters:
    ///   - answers: in this order; the last one also answers all later requests.
    ///   - tls: the server's certificate.
    static func start(_ answers: [Answer] = [.status(200)], host: String = "127.0.0.1", tls: NIOSSLContext? = nil) async throws
        -> LocalServer
    {
        let server = LocalServer(answers)
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let tls { try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: tls)) }
                    try channel.pipeline.syncOperations.addHandler(Handler(server))
                }
            }
            .bind(host: host, port: 0).get()
        server.channel.withLock { $0 = channel }
        return server
    }

    var port: Int { channel.withLock { $0?.localAddress?.port } ?? 0 }
    var connections: Int { state.withLock { $0.connections } }
    var requests: [Request] { state.withLock { $0.requests } }

    func stop() async { try? await channel.withLock { $0 }?.close().get() }

    /// Waits until every connection that was opened is closed again.
    func allClosed() async {
        while state.withLock({ $0.closed < $0.connections }) { try? await Task.sleep(for: .milliseconds(5)) }
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private let server: LocalServer
        private var bytes: [UInt8] = []

        init(_ server: LocalServer) { self.server = server }

        func channelActive(context: ChannelHandlerContext) { server.state.withLock { $0.connections += 1 } }

        func channelInactive(context: ChannelHandlerContext) { server.state.withLock { $0.closed += 1 } }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            bytes += Self.unwrapInboundIn(data).readableBytesView
            while let (request, length) = LocalServer.request(bytes) {
                bytes.removeFirst(length)
                answer(server.take(request), context.channel)
            }
        }

        private func answer(_ answer: Answer, _ channel: any NIOCore.Channel) {
            switch answer {
            case .status(let status, let headers, let body):
                let head = (["HTTP/1.1 \(status) Reason", "Content-Length: \(body.utf8.count)"] + headers).joined(separator: "\r\n")
                channel.writeAndFlush(ByteBuffer(string: head + "\r\n\r\n" + body), promise: nil)
            case .silence: break
            case .stalled(let status):
                channel.writeAndFlush(
                    ByteBuffer(string: "HTTP/1.1 \(status) Reason\r\nContent-Length: 1000\r\n\r\npart of it"), promise: nil)
            case .endless(let status):
                channel.writeAndFlush(ByteBuffer(string: "HTTP/1.1 \(status) Reason\r\nConnection: close\r\n\r\n"), promise: nil)
                Self.fill(channel)
            }
        }

        private static func fill(_ channel: any NIOCore.Channel) {
            channel.writeAndFlush(ByteBuffer(repeating: UInt8(ascii: "x"), count: 16_384)).whenSuccess {
                channel.eventLoop.execute { fill(channel) }
            }
        }
    }

    private func take(_ request: Request) -> Answer {
        state.withLock { state in
            state.requests.append(request)
            return state.answers.count > 1 ? state.answers.removeFirst() : state.answers[0]
        }
    }

    /// The first whole request in the bytes, and its length.
    private static func request(_ bytes: [UInt8]) -> (Request, Int)? {
        let text = String(decoding: bytes, as: UTF8.self)
        guard let end = text.range(of: "\r\n\r\n") else { return nil }
        let lines = text[..<end.lowerBound].split(separator: "\r\n")
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1)
            headers[parts[0].lowercased()] = parts.count == 2 ? String(parts[1].drop { $0 == " " }) : ""
        }
        let start = text[..<end.upperBound].utf8.count
        let length = headers["content-length"].flatMap { Int($0) } ?? 0
        guard bytes.count >= start + length else { return nil }
        return (
            Request(line: String(lines[0]), headers: headers, body: Array(bytes[start..<start + length])), start + length
        )
    }
}
