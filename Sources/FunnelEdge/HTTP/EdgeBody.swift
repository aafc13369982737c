import FunnelCodec
import FunnelModel
import FunnelProtocol
import HTTPTypes
import Hummingbird

/// Reads request bodies within limits, unpacking gzip as it comes.
package enum EdgeBody {
    /// - Parameter limit: bytes after decompression; one more is 413.
    package static func read(_ request: Request, limit: Int) async throws -> [UInt8] {
        let encoding = request.headers[.contentEncoding]?.lowercased() ?? "identity"
        switch encoding {
        case "", "identity": return try await plain(request, limit: limit)
        case "gzip", "x-gzip", "deflate": return try await inflated(request, limit: limit)
        default: throw ProtocolError(.invalidMessage, "Content-Encoding \(encoding.prefix(40)) is not supported; use gzip")
        }
    }

    private static func plain(_ request: Request, limit: Int) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        for try await chunk in request.body {
            guard bytes.count + chunk.readableBytes <= limit else { throw tooLarge(limit) }
            bytes.append(contentsOf: chunk.readableBytesView)
        }
        return bytes
    }

    private static func inflated(_ request: Request, limit: Int) async throws -> [UInt8] {
        let inflate = try wrap { () throws(ByteError) in try Inflate(limit: limit) }
        var bytes: [UInt8] = []
        for try await chunk in request.body {
            let input = Array(chunk.readableBytesView)
            do {
                bytes += try inflate.feed(input)
            } catch {
                throw error.reason.contains("limit") ? tooLarge(limit) : ProtocolError(.damagedCompression, error.reason)
            }
        }
        try wrap { () throws(ByteError) in try inflate.finish() }
        return bytes
    }

    private static func wrap<T>(_ body: () throws(ByteError) -> T) throws(ProtocolError) -> T {
        do {
            return try body()
        } catch {
            throw ProtocolError(.damagedCompression, error.reason)
        }
    }

    private static func tooLarge(_ limit: Int) -> ProtocolError {
        ProtocolError(.tooLarge, "the body is over the limit of \(limit) bytes after decompression")
    }
}
