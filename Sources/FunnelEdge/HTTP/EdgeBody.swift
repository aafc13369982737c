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

    /// Runs `body` with a lease, through which it takes memory as it needs it; all of it is given back at the end.
    package func with<T>(_ body: (BodyLease) async throws -> T) async throws -> T {
        let lease = BodyLease(self)
        defer { lease.giveBack() }
        return try await body(lease)
    }

    fileprivate func take(_ bytes: Int) throws(ProtocolError) {
        let before = held.wrappingAdd(bytes, ordering: .relaxed).oldValue
        guard before + bytes <= most else {
            held.wrappingSubtract(bytes, ordering: .relaxed)
            throw ProtocolError(.overloaded, "request bodies hold \(before) bytes of memory already; nothing was stored")
        }
    }

    fileprivate func giveBack(_ bytes: Int) { held.wrappingSubtract(bytes, ordering: .relaxed) }
}

/// What one request has taken off the budget.
package final class BodyLease: Sendable {
    private let budget: BodyBudget
    private let taken = Atomic<Int>(0)

    fileprivate init(_ budget: BodyBudget) { self.budget = budget }

    func take(_ bytes: Int) throws(ProtocolError) {
        try budget.take(bytes)
        taken.wrappingAdd(bytes, ordering: .relaxed)
    }

    fileprivate func giveBack() { budget.giveBack(taken.exchange(0, ordering: .relaxed)) }
}

/// Reads request bodies within limits, unpacking gzip as it comes.
package enum EdgeBody {
    /// - Parameters:
    ///   - limit: bytes after decompression; one more is 413.
    ///   - lease: memory is taken through it as bytes arrive; nil for small documents.
    package static func read(_ request: Request, limit: Int, lease: BodyLease? = nil) async throws -> [UInt8] {
        let encoding = request.headers[.contentEncoding]?.lowercased() ?? "identity"
        do {
            switch encoding {
            case "", "identity": return try await plain(request, limit, lease)
            case "gzip", "x-gzip", "deflate": return try await inflated(request, limit, lease)
            default: throw ProtocolError(.invalidMessage, "Content-Encoding \(encoding.prefix(40)) is not supported; use gzip")
            }
        } catch let error as ProtocolError {
            throw error
        } catch {
            // Broken chunks, or a caller that went away in the middle.
            throw ProtocolError(.invalidMessage, "the body could not be read to its end")
        }
    }

    private static func plain(_ request: Request, _ limit: Int, _ lease: BodyLease?) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        for try await chunk in request.body {
            guard bytes.count + chunk.readableBytes <= limit else { throw tooLarge(limit) }
            try lease?.take(chunk.readableBytes)
            bytes.append(contentsOf: chunk.readableBytesView)
        }
        return bytes
    }

    private static func inflated(_ request: Request, _ limit: Int, _ lease: BodyLease?) async throws -> [UInt8] {
        let inflate = try wrap { () throws(ByteError) in try Inflate(limit: limit) }
        var bytes: [UInt8] = []
        for try await chunk in request.body {
            let input = Array(chunk.readableBytesView)
            let more: [UInt8]
            do throws(ByteError) {
                more = try inflate.feed(input)
            } catch {
                throw error.reason.contains("limit") ? tooLarge(limit) : ProtocolError(.damagedCompression, error.reason)
            }
            try lease?.take(more.count)
            bytes += more
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
