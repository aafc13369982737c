import FunnelModel
import FunnelProtocol
import Hummingbird
import Logging
import NIOCore
import NIOPosix
import RPC
import ServiceHost
import ServiceRuntime
import Synchronization

/// Keeps metadata, unlike a handler that does nothing: requests have their number there.
let quiet: Logger = {
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    return logger
}()

/// Starts an HTTP service with the routes given, runs the body with its port, and stops it.
func withEdge<R: Sendable>(
    _ shared: HTTPPortState = HTTPPortState(), small: SmallRequests? = nil, edge: ServiceEdge = ServiceEdge(),
    _ routes: (ServiceRouter) -> Void,
    _ body: @Sendable @escaping (Int) async throws -> R
) async throws -> R {
    let metrics = Metrics()
    let router = ServiceServer.router(metrics: metrics, account: HTTPRequestLog(metrics), edge: edge) { (nil, []) }
    routes(router)
    let (ports, told) = AsyncStream.makeStream(of: Int.self)
    let application = try ServiceServer.application(
        router, small: small, shared: shared, host: "127.0.0.1", port: 0, tls: nil, group: MultiThreadedEventLoopGroup.singleton,
        logger: quiet
    ) { port in told.yield(port) }
    return try await withThrowingTaskGroup(of: R?.self) { group in
        group.addTask {
            try await application.run()
            return nil
        }
        group.addTask {
            var iterator = ports.makeAsyncIterator()
            guard let port = await iterator.next() else { throw CancellationError() }
            return try await body(port)
        }
        defer { group.cancelAll() }
        while let result = try await group.next() {
            if let result { return result }
        }
        throw CancellationError()
    }
}

/// A TCP connection that says what the test says and notes what comes back.
final class RawHTTP: Sendable {
    private final class Reader: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        let notes: Notes
        init(_ notes: Notes) { self.notes = notes }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let text = String(buffer: unwrapInboundIn(data))
            notes.lock.withLock { $0.text += text }
        }

        func channelInactive(context: ChannelHandlerContext) { notes.lock.withLock { $0.isOver = true } }
        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }

    private final class Notes: Sendable {
        let lock = Mutex<(text: String, isOver: Bool)>(("", false))
    }

    private let channel: any Channel
    private let notes: Notes

    /// - Parameter reads: false = the connection never reads what the server sends.
    init(_ port: Int, reads: Bool = true) async throws {
        let notes = Notes()
        self.notes = notes
        channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(ChannelOptions.autoRead, value: reads)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(Reader(notes)) }
            }
            .connect(host: "127.0.0.1", port: port).get()
    }

    /// What came back so far.
    var text: String { notes.lock.withLock { $0.text } }
    var isOver: Bool { notes.lock.withLock { $0.isOver } }
    /// Statuses of the answers so far, the informational ones among them.
    var statuses: [Int] { text.split(separator: "HTTP/1.1 ").compactMap { Int($0.prefix(3)) } }

    /// False where the connection is over.
    @discardableResult
    func send(_ text: String) async -> Bool { await send(ByteBuffer(string: text)) }

    @discardableResult
    func send(_ bytes: ByteBuffer) async -> Bool {
        do {
            try await channel.writeAndFlush(bytes).get()
            return true
        } catch {
            return false
        }
    }

    func post(_ path: String, _ fields: String...) async {
        await send("POST \(path) HTTP/1.1\r\nHost: localhost\r\n" + fields.map { $0 + "\r\n" }.joined() + "\r\n")
    }

    func close() async { try? await channel.close().get() }
}

/// Looks every few milliseconds until the condition holds; false after ten seconds.
func eventually(_ condition: () async throws -> Bool) async rethrows -> Bool {
    for _ in 0..<2000 {
        if try await condition() { return true }
        try? await Task.sleep(for: .milliseconds(5))
    }
    return false
}

final class Counter: Sendable {
    private let count = Atomic<Int>(0)
    var value: Int { count.load(ordering: .sequentiallyConsistent) }
    func add(_ more: Int = 1) { count.add(more, ordering: .sequentiallyConsistent) }
}
