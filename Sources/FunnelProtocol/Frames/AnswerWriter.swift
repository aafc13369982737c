import Codec
import FunnelModel

/// Writes the frames of one answer and its trailer.
package struct AnswerWriter: Sendable {
    private let context: FrameContext
    private var checksum: UInt32 = 0

    package init(_ context: FrameContext) { self.context = context }

    /// The bytes of one frame, which the trailer's checksum will cover.
    package mutating func frame(_ kind: FrameKind, _ body: [UInt8]) -> [UInt8] {
        checksum = CRC32C.checksum(body, seed: checksum)
        return Frame(kind, context, body: body).encode()
    }

    /// The bytes of the trailer of an answer that succeeded.
    package func end(rows: UInt64) -> [UInt8] {
        Frame(.trailer, context, body: Trailer(status: 0, rows: rows, checksum: checksum).body).encode()
    }

    /// The bytes of the error frame and of the trailer that repeats its code.
    package mutating func fail(_ error: ProtocolError) -> [UInt8] {
        let first = frame(.error, error.body)
        let trailer = Trailer(status: error.code.rawValue, rows: 0, checksum: checksum)
        return first + Frame(.trailer, context, body: trailer.body).encode()
    }
}
