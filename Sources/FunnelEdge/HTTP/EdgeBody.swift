import FunnelCodec
import FunnelModel
import FunnelProtocol
import FunnelRPC
import HTTPTypes
import Hummingbird
import NIOCore
import Synchronization

/// Memory for the request bodies of one process. A project has at most half of it; beyond that its slowest body goes.
package final class EdgeBodies: Sendable {
    private let budget: BodyBudget
    private let projectMost: Int
    /// As many as there are projects with keys.
    private let projects = Mutex<[UInt32: BodyBudget.Account]>([:])

    package init(bytes: Int) {
        budget = BodyBudget(bytes: bytes)
        projectMost = bytes / 2
    }

    package var bytes: Int { budget.bytes }

    /// Runs `body` with a lease, through which it takes memory as it needs it; all of it is given back at the end.
    package func with<T>(_ project: UInt32, _ context: EdgeContext, _ body: (BodyLease) async throws -> T) async throws -> T {
        let account = projects.withLock { projects in
            let account = projects[project] ?? BodyBudget.Account(most: projectMost)
            projects[project] = account
            return account
        }
        let channel = context.channel
        let lease = budget.lease(in: [account], now: NIODeadline.now().uptimeNanoseconds) {
            channel.pipeline.fireUserInboundEventTriggered(BodyCut.evicted)
        }
        defer { lease.end() }
        return try await body(lease)
    }
}

/// A request's body as it came, perhaps compressed.
package struct EdgeBody: Sendable {
    private let bytes: [UInt8]
    private let isCompressed: Bool
    private let limit: Int
    private let lease: BodyLease?

    /// Reads the body to its end, within limits.
    /// - Parameters:
    ///   - limit: bytes before and after decompression; one more is 413, before any is read where the length is announced.
    ///   - lease: memory is taken through it as bytes arrive; nil for small documents.
    package static func read(_ request: Request, limit: Int, lease: BodyLease? = nil) async throws -> EdgeBody {
        let encoding = request.headers[.contentEncoding]?.lowercased() ?? "identity"
        if let length = request.headers[.contentLength].flatMap({ Int($0) }), length > limit { throw tooLarge(limit) }
        let isCompressed = ["gzip", "x-gzip", "deflate"].contains(encoding)
        guard isCompressed || ["", "identity"].contains(encoding) else {
            throw ProtocolError(.invalidMessage, "Content-Encoding \(encoding.prefix(40)) is not supported; use gzip")
        }
        do {
            let bytes = try await whole(request, limit, lease)
            guard lease?.finish() ?? true else { throw BodyCut.evicted }
            return EdgeBody(bytes: bytes, isCompressed: isCompressed, limit: limit, lease: lease)
        } catch let error as ProtocolError {
            throw error
        } catch BodyCut.evicted {
            throw full
        } catch BodyCut.slow {
            throw HTTPError(.requestTimeout, message: "the body came too slowly; nothing was stored")
        } catch {
            // Broken chunks, or a caller that went away in the middle.
            throw ProtocolError(.invalidMessage, "the body could not be read to its end")
        }
    }

    private static func whole(_ request: Request, _ limit: Int, _ lease: BodyLease?) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        for try await chunk in request.body {
            guard bytes.count + chunk.readableBytes <= limit else { throw tooLarge(limit) }
            try take(chunk.readableBytes, lease)
            bytes.append(contentsOf: chunk.readableBytesView)
        }
        return bytes
    }

    /// The body, decompressed. A few bytes can decode to the whole limit, which takes long: not to be called where others wait.
    package func content() throws(ProtocolError) -> [UInt8] {
        guard isCompressed else { return bytes }
        let inflate = try decoding { () throws(ByteError) in try Inflate(limit: limit) }
        var content: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: Self.sliceBytes) {
            let slice = Array(bytes[start..<min(bytes.count, start + Self.sliceBytes)])
            let before = content.count
            try decoding { () throws(ByteError) in try inflate.feed(slice, into: &content) }
            try Self.take(content.count - before, lease)
        }
        try decoding { () throws(ByteError) in try inflate.finish() }
        return content
    }

    private func decoding<T>(_ body: () throws(ByteError) -> T) throws(ProtocolError) -> T {
        do {
            return try body()
        } catch {
            throw error.reason.contains("limit") ? Self.tooLarge(limit) : ProtocolError(.damagedCompression, error.reason)
        }
    }

    /// Compressed bytes that are decoded before memory is asked for again.
    private static let sliceBytes = 16 << 10

    private static func take(_ bytes: Int, _ lease: BodyLease?) throws(ProtocolError) {
        guard lease?.take(bytes, now: NIODeadline.now().uptimeNanoseconds) ?? true else { throw full }
    }

    private static var full: ProtocolError {
        ProtocolError(.overloaded, "request bodies hold all memory that they may; nothing was stored")
    }

    private static func tooLarge(_ limit: Int) -> ProtocolError {
        ProtocolError(.tooLarge, "the body is over the limit of \(limit) bytes after decompression")
    }
}
