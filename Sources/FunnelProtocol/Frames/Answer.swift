import Codec
import FunnelModel

/// The last frame of every answer: without it, what came before must not be used.
package struct Trailer: Equatable, Sendable {
    /// 0, or the code of the error frame before it.
    package var status: UInt16
    /// Rows, users or results that the answer carries.
    package var rows: UInt64
    /// CRC-32C over the decoded bodies of all frames before the trailer, in order.
    package var checksum: UInt32

    package init(status: UInt16, rows: UInt64, checksum: UInt32) {
        self.status = status
        self.rows = rows
        self.checksum = checksum
    }

    package var body: [UInt8] {
        var out = ByteWriter()
        out.integer(status)
        out.integer(rows)
        out.integer(checksum)
        return out.bytes
    }

    package init(body: [UInt8]) throws(ByteError) {
        var reader = ByteReader(body)
        status = try reader.integer("status")
        rows = try reader.integer("rows")
        checksum = try reader.integer("checksum")
        try reader.finish("trailer")
    }
}

/// Writes the frames of one answer and its trailer.
package struct AnswerWriter: Sendable {
    private let context: FrameContext
    private var checksum: UInt32 = 0

    package init(_ context: FrameContext) { self.context = context }

    package mutating func frame(_ kind: FrameKind, _ body: [UInt8]) -> [UInt8] {
        checksum = CRC32C.checksum(body, seed: checksum)
        return Frame(kind, context, body: body).encoded
    }

    package func end(rows: UInt64) -> [UInt8] {
        Frame(.trailer, context, body: Trailer(status: 0, rows: rows, checksum: checksum).body).encoded
    }

    /// The error frame and the trailer that repeats its code.
    package mutating func fail(_ error: ProtocolError) -> [UInt8] {
        let first = frame(.error, error.body)
        let trailer = Trailer(status: error.code.rawValue, rows: 0, checksum: checksum)
        return first + Frame(.trailer, context, body: trailer.body).encoded
    }
}

/// Reads the frames of one answer; `done` only after a trailer that agrees with them.
package struct AnswerReader: Sendable {
    private var decoder = FrameDecoder()
    private var checksum: UInt32 = 0
    private var failure: ProtocolError?
    package private(set) var trailer: Trailer?

    package init() {}

    package mutating func feed(_ bytes: some Sequence<UInt8>) { decoder.feed(bytes) }

    /// The next result frame; nil where more bytes are needed or the answer is done. An error frame is thrown once its
    /// trailer has confirmed it.
    package mutating func next() throws(ProtocolError) -> Frame? {
        while let frame = try decoder.next() {
            guard trailer == nil else { throw ProtocolError(.malformedFrame, "frame after the trailer") }
            guard frame.kind == .trailer else {
                checksum = CRC32C.checksum(frame.body, seed: checksum)
                guard frame.kind == .error else { return frame }
                failure = try ProtocolError.decode(frame.body)
                continue
            }
            let end = try decoding("trailer") { () throws(ByteError) in try Trailer(body: frame.body) }
            guard end.checksum == checksum else { throw ProtocolError(.badChecksum, "answer does not match its trailer") }
            guard end.status == failure?.code.rawValue ?? 0 else {
                throw ProtocolError(.malformedFrame, "trailer status \(end.status) without its error frame")
            }
            trailer = end
            if let failure { throw failure }
        }
        return nil
    }

    /// To be called at the end of the stream: an answer without its trailer is an error.
    package func finish() throws(ProtocolError) {
        guard trailer != nil else { throw ProtocolError(.truncatedAnswer, "answer ends without its trailer") }
        try decoder.finish()
    }
}

/// Runs a decoder of one message and names it in its error.
package func decoding<T>(_ what: String, _ body: () throws(ByteError) -> T) throws(ProtocolError) -> T {
    do {
        return try body()
    } catch {
        throw ProtocolError(.invalidMessage, "\(what): byte \(error.offset): \(error.reason)")
    }
}
