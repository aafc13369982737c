import Foundation
import NIOCore
import RPC
import Testing

/// Other implementations as peers.
@Suite(.timeLimit(.minutes(2)))
struct InteropTests {
    @Test(.enabled(if: Tool.has("nghttp"), "needs the nghttp program"))
    func nghttpGetsAndPosts() async throws {
        let folder = try Tool.temporaryFolder()
        let file = folder.appendingPathComponent("body")
        try Data(pattern(2_000_000).readableBytesView).write(to: file)
        let handler = ClosureHandler { call in
            try await call.respond(status: 200, contentType: "text/plain")
            try await call.write(ByteBuffer(string: "\(call.head.method) \(call.body.readableBytes)"))
            try await call.finish()
        }
        try await withServer(handler) { _, port in
            let get = try await Tool.run("nghttp", ["http://127.0.0.1:\(port)/health"])
            #expect(get.output.contains("GET 0"))
            let post = try await Tool.run("nghttp", ["-d", file.path, "http://127.0.0.1:\(port)/append"])
            #expect(post.output.contains("POST 2000000"))
        }
    }

    @Test(.enabled(if: Tool.has("nghttp"), "needs the nghttp program"))
    func nghttpReadsALargeAnswer() async throws {
        let handler = ClosureHandler { call in
            try await call.respond(status: 200, contentType: "x")
            for _ in 0..<50 { try await call.write(ByteBuffer(repeating: 65, count: 1 << 20)) }
            try await call.finish()
        }
        try await withServer(handler) { _, port in
            let result = try await Tool.run("nghttp", ["-n", "-s", "http://127.0.0.1:\(port)/"])
            #expect(result.status == 0)
            #expect(result.output.contains("50M"))
        }
    }

    @Test(.enabled(if: Tool.has("h2load"), "needs the h2load program"), arguments: [1, 64])
    func h2loadSucceedsWithEveryRequest(streams: Int) async throws {
        try await withServer(ClosureHandler.echo) { server, port in
            let result = try await Tool.run(
                "h2load",
                ["-n", "4000", "-c", "4", "-m", "\(streams)", "-d", "/etc/passwd", "http://127.0.0.1:\(port)/echo"])
            #expect(result.output.contains("4000 succeeded, 0 failed"))
            #expect(server.stats.callsTotal == 4000)
        }
    }

    @Test(.enabled(if: Tool.has("nghttpd"), "needs the nghttpd program"))
    func ourClientTalksToNghttpd() async throws {
        let folder = try Tool.temporaryFolder()
        let content = pattern(3_000_000)
        try Data(content.readableBytesView).write(to: folder.appendingPathComponent("file"))
        let (process, port) = try await startNghttpd(folder)
        defer { end(process) }
        try await withClient(port, connections: 2) { client in
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for _ in 0..<20 {
                    group.addTask { try await client.call("/file", pattern(10_000)).collect(upTo: 1 << 22) == content }
                }
                for try await isEqual in group { #expect(isEqual) }
            }
            #expect(try await client.call("/missing").status == 404)
        }
    }

    /// Not SIGTERM, which it does not heed: it would go on and hold its port.
    private func end(_ process: Process) { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }

    /// It cannot choose a port itself, so ports outside the range of outgoing connections are tried.
    private func startNghttpd(_ folder: URL) async throws -> (Process, Int) {
        for _ in 0..<10 {
            let port = Int.random(in: 20_000..<30_000)
            let process = Process()
            process.executableURL = URL(fileURLWithPath: Tool.path("nghttpd") ?? "nghttpd")
            process.arguments = ["--no-tls", "-d", folder.path, "\(port)"]
            process.standardOutput = FileHandle.nullDevice
            process.standardError = FileHandle.nullDevice
            try process.run()
            let isUp = try await withClient(port) { client in
                await eventually {
                    if !process.isRunning { return true }
                    return await client.failure("/file") == nil
                }
            }
            if isUp && process.isRunning { return (process, port) }
            end(process)
        }
        throw TransportError(.failed, "nghttpd does not start")
    }
}
