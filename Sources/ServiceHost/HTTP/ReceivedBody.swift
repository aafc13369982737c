import Codec
import FunnelModel
import FunnelProtocol
import HTTPTypes
import Hummingbird
import NIOCore
import RPC
import Synchronization

/// A request's body as received, possibly compressed.
package struct ReceivedBody: Sendable {
    private let bytes: [UInt8]
    private let compression: Compression?
    private let limit: Int
    private let lease: BodyLease?

    /// Bytes as received.
    package var receivedBytes: Int { bytes.count }

    private static let compressions = ["gzip": Compression.gzip, "x-gzip": .gzip, "deflate": .gzip, "zstd": .zstd]
        .filter(\.value.isInThisBuild)
    /// Windows of zstd have at most 8 MiB in HTTP (RFC 9659).
    private static let windowBits: Int32 = 23

    /// Whether bodies with this `Content-Encoding` can be read.
    package static func canRead(_ encoding: String) -> Bool {
        let name = encoding.lowercased()
        return name.isEmpty || name == "identity" || compressions[name] != nil
    }

    /// Reads the body to its end, within limits.
    /// - Parameters:
    ///   - mayBeGzip: whether a body that begins as gzip does is gzip without a `Content-Encoding` that says so.
    ///   - limit: max bytes, before and after decompression. Above it the error is 413, at once if `Content-Length` announces more.
    ///   - lease: takes the memory as bytes arrive; nil for small documents, which are not counted.
    /// - Throws: `ProtocolError`, or `HTTPError` with 408 if the body comes too slowly.
    package static func read(_ request: Request, limit: Int, mayBeGzip: Bool = false, lease: BodyLease? = nil) async throws
        -> ReceivedBody
    {
        let encoding = request.headers[.contentEncoding]?.lowercased() ?? "identity"
        if let length = request.headers[.contentLength].flatMap({ Int($0) }), length > limit { throw tooLarge(limit) }
        guard canRead(encoding) else {
            throw ProtocolError(.invalidMessage, "Content-Encoding \(encoding.prefix(40)) is not supported; use gzip")
        }
        do {
            let bytes = try await whole(request, limit, lease)
            guard lease?.finish() ?? true else { throw BodyCut.evicted }
            let compression = compressions[encoding] ?? (mayBeGzip && bytes.starts(with: [0x1F, 0x8B]) ? .gzip : nil)
            return ReceivedBody(bytes: bytes, compression: compression, limit: limit, lease: lease)
        } catch let error as ProtocolError {
            throw error
        } catch BodyCut.evicted {
            throw full
        } catch BodyCut.slow {
            throw HTTPError(.requestTimeout, message: "the body came too slowly; nothing was stored")
        } catch {
            // Chunks are malformed, or the caller left early.
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

    /// The decompressed body. A few bytes can decode to the whole limit, which takes long: not to be called on an event loop.
    package func content() throws(ProtocolError) -> [UInt8] {
        guard let compression else { return bytes }
        var content: [UInt8] = []
        let decompressor = try decoding { () throws(DecompressionError) in
            try compression.decompressor(limit: limit, windowBits: Self.windowBits)
        }
        decompressor.feed(bytes)
        var taken = 0
        while try decoding({ () throws(DecompressionError) in try decompressor.next(into: &content) }) {
            try Self.take(content.count - taken, lease)
            taken = content.count
        }
        try decoding { () throws(DecompressionError) in try decompressor.finish() }
        return content
    }

    private func decoding<T>(_ body: () throws(DecompressionError) -> T) throws(ProtocolError) -> T {
        do {
            return try body()
        } catch {
            if case .overLimit = error { throw Self.tooLarge(limit) }
            throw ProtocolError(.damagedCompression, error.description)
        }
    }

    private static func take(_ bytes: Int, _ lease: BodyLease?) throws(ProtocolError) {
        guard lease?.take(bytes, now: NIODeadline.now().uptimeNanoseconds) ?? true else { throw full }
    }

    private static var full: ProtocolError {
        ProtocolError(.overloaded, "the memory for request bodies (bodies-mb) is used up; nothing was stored", limit: .bodies)
    }

    private static func tooLarge(_ limit: Int) -> ProtocolError {
        ProtocolError(.tooLarge, "the body is over the limit of \(limit) bytes, as received or after decompression", limit: .body)
    }
}
