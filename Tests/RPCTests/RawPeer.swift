import Foundation
import HTTP2
import NIOCore
import NIOPosix
import Synchronization

/// A client that does with its connection and streams what the test says, and notes what comes back.
final class RawPeer: Sendable {
    struct Seen {
        var statuses: [Int32: Int] = [:]
        var bodies: [Int32: [UInt8]] = [:]
        var closed: [Int32: HTTP2ErrorCode] = [:]
        var isOver = false
    }

    private final class Notes: Sendable {
        let lock = Mutex(Seen())
    }

    private final class Delegate: HTTP2HandlerDelegate {
        let seen: Notes
        init(_ seen: Notes) { self.seen = seen }

        func http2Active(_ handler: HTTP2Handler) {}
        func http2Tick(_ handler: HTTP2Handler, now: UInt64) {}
        func http2Closed(_ handler: HTTP2Handler, error: HTTP2Error?) { seen.lock.withLock { $0.isOver = true } }

        func http2(_ handler: HTTP2Handler, received event: HTTP2Event) {
            switch event {
            case .head(let stream, let fields): seen.lock.withLock { $0.statuses[stream] = fields.decimal(":status") }
            case .data(let stream, let bytes):
                seen.lock.withLock { $0.bodies[stream, default: []] += bytes.readableBytesView }
                handler.session.creditStream(stream, bytes: bytes.readableBytes)
                handler.session.creditConnection(bytes: bytes.readableBytes)
            case .closed(let stream, let code): seen.lock.withLock { $0.closed[stream] = code }
            default: break
            }
        }
    }

    private let channel: any Channel
    private let handler: NIOLoopBound<HTTP2Handler>
    private let box: Notes

    init(_ port: Int) async throws {
        let box = Notes()
        self.box = box
        let made = Mutex<NIOLoopBound<HTTP2Handler>?>(nil)
        channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let handler = try HTTP2Handler(role: .client, limits: HTTP2Limits(), delegate: Delegate(box))
                    made.withLock { $0 = NIOLoopBound(handler, eventLoop: channel.eventLoop) }
                    try channel.pipeline.syncOperations.addHandler(handler)
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
        guard let bound = made.withLock({ $0 }) else { throw HTTP2Error(.library, "no handler") }
        handler = bound
    }

    var seen: Seen { box.lock.withLock { $0 } }

    /// Sends a head whose body is to follow; 0 where no stream can be opened any more.
    func open(_ path: String, _ fields: [(String, String)] = []) async throws -> Int32 {
        try await channel.eventLoop.submit { [handler] in
            var head = HTTP2Fields()
            for (name, value) in [
                (":method", "POST"), (":scheme", "http"), (":authority", "test"), (":path", path), ("content-type", "application/x-sluice"),
            ] + fields { head.append(name, value) }
            let stream = handler.value.session.submitRequest(head, hasBody: true) ?? 0
            handler.value.pump()
            return stream
        }.get()
    }

    func send(_ stream: Int32, _ count: Int, ends: Bool = false) async throws {
        try await send(stream, ByteBuffer(repeating: 1, count: count), ends: ends)
    }

    func send(_ stream: Int32, _ bytes: ByteBuffer, ends: Bool = false) async throws {
        try await channel.eventLoop.submit { [handler] in
            handler.value.session.send(stream: stream, data: bytes)
            if ends { handler.value.session.finish(stream: stream) }
            handler.value.pump()
        }.get()
    }

    func close() async { try? await channel.close().get() }
}

/// Opens a raw peer, runs the body, and closes it.
func withPeer<R>(_ port: Int, _ body: (RawPeer) async throws -> R) async throws -> R {
    let peer = try await RawPeer(port)
    do {
        let result = try await body(peer)
        await peer.close()
        return result
    } catch {
        await peer.close()
        throw error
    }
}

/// These tests have the machine to themselves: what they measure by the clock would say nothing beside hundreds of others.
let runsAlone = ProcessInfo.processInfo.environment["SLUICE_HOSTILE"] != nil
