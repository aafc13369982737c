import FunnelCodec
import FunnelModel
import FunnelProtocol
import HTTPTypes
import Hummingbird
import Synchronization

/// Bytes of request bodies that one process holds at a time, over all connections.
package final class BodyBudget: Sendable {
    private let held = Atomic<Int>(0)
    private let most: Int

    package init(bytes: Int) { most = bytes }

    package var bytes: Int { held.load(ordering: .relaxed) }

    /// Runs `body` with `bytes` taken off the budget.
    ///
    /// - Throws: `overloaded` where there is not so much left; nothing was done then.
    package func with<T>(_ bytes: Int, _ body: () async throws -> T) async throws -> T {
        let before = held.wrappingAdd(bytes, ordering: .relaxed).oldValue
        defer { held.wrappingSubtract(bytes, ordering: .relaxed) }
        guard before + bytes <= most || before == 0 else {
            throw ProtocolError(.overloaded, "request bodies hold \(before) bytes of memory already; nothing was stored")
        }
        return try await body()
    }
}

/// Reads request bodies within limits, unpacking gzip as it comes.
package enum EdgeBody {
    /// What to take off a budget before reading: the announced length, or `limit` where more may come out.
    package static func mayHold(_ request: Request, limit: Int) -> Int {
        let plain = request.headers[.contentEncoding] == nil
        guard plain, let length = request.headers[.contentLength].flatMap({ Int($0) }) else { return limit }
        return min(limit, max(0, length))
    }

    /// - Parameter limit: bytes after decompression; one more is 413.
    package static func read(_ request: Request, limit: Int) async throws -> [UInt8] {
        let encoding = request.headers[.contentEncoding]?.lowercased() ?? "identity"
        do {
            switch encoding {
            case "", "identity": return try await plain(request, limit: limit)
            case "gzip", "x-gzip", "deflate": return try await inflated(request, limit: limit)
            default: throw ProtocolError(.invalidMessage, "Content-Encoding \(encoding.prefix(40)) is not supported; use gzip")
            }
        } catch let error as ProtocolError {
            throw error
        } catch {
            // Broken chunks, or a caller that went away in the middle.
            throw ProtocolError(.invalidMessage, "the body could not be read to its end")
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
