import Foundation
import Logging
import NIOCore
import NIOPosix
import RPC
import Synchronization

/// A handler made of a closure.
struct ClosureHandler: CallHandler {
    let body: @Sendable (ServerCall) async throws -> Void

    func handle(_ call: ServerCall) async {
        try? await body(call)
    }

    static let echo = ClosureHandler { call in
        try await call.respond(status: 200, contentType: "application/x-sluice")
        try await call.write(call.body)
        try await call.finish()
    }
}

let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// Starts a server on a free port, runs the body, and stops it.
func withServer<R>(
    _ handler: some CallHandler, limits: TransportLimits = TransportLimits(), tls: TLSServerConfig? = nil,
    _ body: (TransportServer, Int) async throws -> R
) async throws -> R {
    let server = TransportServer(
        group: MultiThreadedEventLoopGroup.singleton, host: "127.0.0.1", port: 0, tls: try tls.map { try TLSFiles($0) }, limits: limits,
        logger: quiet, handler: handler)
    let address = try await server.start()
    do {
        let result = try await body(server, address.port)
        await server.shutdown(grace: .milliseconds(200))
        return result
    } catch {
        await server.shutdown(grace: .zero)
        throw error
    }
}

/// Makes a client for a port, runs the body, and shuts it down.
func withClient<R>(
    _ port: Int, connections: Int = 1, limits: TransportLimits = TransportLimits(), tls: TLSClientConfig? = nil,
    handshake: TransportClient.Handshake? = nil, _ body: (TransportClient) async throws -> R
) async throws -> R {
    let client = TransportClient(
        group: MultiThreadedEventLoopGroup.singleton, host: "127.0.0.1", port: port, tls: tls,
        connections: connections, limits: limits, logger: quiet, handshake: handshake)
    do {
        let result = try await body(client)
        await client.shutdown()
        return result
    } catch {
        await client.shutdown()
        throw error
    }
}

extension TransportClient {
    func call(_ path: String = "/", _ body: ByteBuffer = ByteBuffer(), timeout: Duration = .seconds(30)) async throws
        -> ClientResponse
    {
        try await call(path: path, authorization: nil, body: body, timeout: timeout)
    }

    /// The error of a call that must fail.
    func failure(_ path: String = "/", _ body: ByteBuffer = ByteBuffer(), timeout: Duration = .seconds(30)) async
        -> TransportError?
    {
        do {
            _ = try await call(path, body, timeout: timeout).collect(upTo: 1 << 24)
            return nil
        } catch {
            return error as? TransportError
        }
    }
}

/// A door that handlers wait at.
final class Gate: Sendable {
    private struct State {
        var isOpen = false
        var waiting: [CheckedContinuation<Void, Never>] = []
    }
    private let state = Mutex(State())

    func pass() async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            let isOpen = state.withLock { state in
                if !state.isOpen { state.waiting.append(continuation) }
                return state.isOpen
            }
            if isOpen { continuation.resume() }
        }
    }

    func open() {
        let waiting = state.withLock { state in
            state.isOpen = true
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume() }
    }
}

final class Counter: Sendable {
    private let count = Atomic<Int>(0)
    var value: Int { count.load(ordering: .sequentiallyConsistent) }
    func add() { count.add(1, ordering: .sequentiallyConsistent) }
}

/// Looks every few milliseconds until the condition holds; false after ten seconds.
func eventually(_ condition: () async throws -> Bool) async rethrows -> Bool {
    for _ in 0..<2000 {
        if try await condition() { return true }
        try? await Task.sleep(for: .milliseconds(5))
    }
    return false
}

/// The value once it has stopped changing for a while.
func settled(_ value: () -> Int) async -> Int {
    var last = value()
    var same = 0
    while same < 20 {
        try? await Task.sleep(for: .milliseconds(5))
        let now = value()
        same = now == last ? same + 1 : 0
        last = now
    }
    return last
}

func pattern(_ count: Int, seed: Int = 0) -> ByteBuffer {
    // A block of prime length, so that shifted or swapped frames do not look equal.
    let block = (0..<4093).map { UInt8(truncatingIfNeeded: ($0 &* 31) &+ seed &+ ($0 >> 8)) }
    var buffer = ByteBuffer()
    while buffer.readableBytes < count { buffer.writeBytes(block[..<min(4093, count - buffer.readableBytes)]) }
    return buffer
}

/// Programs used as independent peers.
enum Tool {
    static func path(_ name: String) -> String? {
        ["/usr/bin/", "/usr/sbin/", "/usr/local/bin/"].map { $0 + name }
            .first { FileManager.default.isExecutableFile(atPath: $0) }
    }

    static func has(_ name: String) -> Bool { path(name) != nil }

    /// Runs a program to its end; returns its status and output.
    static func run(_ name: String, _ arguments: [String]) async throws -> (status: Int32, output: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path(name) ?? name)
        process.arguments = arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        return try await withCheckedThrowingContinuation { continuation in
            let thread = Thread {
                do {
                    try process.run()
                    let data = pipe.fileHandleForReading.readDataToEndOfFile()
                    process.waitUntilExit()
                    continuation.resume(returning: (process.terminationStatus, String(decoding: data, as: UTF8.self)))
                } catch {
                    continuation.resume(throwing: error)
                }
            }
            thread.start()
        }
    }

    /// A new empty folder.
    static func temporaryFolder() throws -> URL {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("sluice-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        return url
    }
}

/// A TCP connection that speaks whatever the test says.
enum RawSocket {
    static func open(_ port: Int) async throws -> NIOAsyncChannel<ByteBuffer, ByteBuffer> {
        try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
    }

    /// Sends bytes and returns all that comes back until the server closes.
    static func exchange(_ port: Int, _ bytes: [UInt8]) async throws -> [UInt8] {
        try await open(port).executeThenClose { inbound, outbound in
            try await outbound.write(ByteBuffer(bytes: bytes))
            var all: [UInt8] = []
            do {
                for try await chunk in inbound { all += chunk.readableBytesView }
            } catch is IOError {
                // A reset is an end too.
            }
            return all
        }
    }
}
