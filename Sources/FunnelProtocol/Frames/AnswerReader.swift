import Codec
import FunnelModel

/// Reads the frames of one answer. It is complete only when `trailer` is set: the trailer agrees with the frames.
package struct AnswerReader: Sendable {
    private var decoder = FrameDecoder()
    private var checksum: UInt32 = 0
    /// The error frame of the answer.
    package private(set) var failure: ProtocolError?
    package private(set) var trailer: Trailer?

    package init() {}

    package mutating func feed(_ bytes: some Sequence<UInt8>) { decoder.feed(bytes) }

    /// The next result frame; nil if more bytes are needed or the answer is complete. An error frame is thrown once its
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

    /// Call at the end of the stream: throws if the answer has no trailer.
    package func finish() throws(ProtocolError) {
        guard trailer != nil else { throw ProtocolError(.truncatedAnswer, "answer ends without its trailer") }
        try decoder.finish()
    }
}

/// Runs a decoder of one message; its error becomes `.invalidMessage` and names the message.
package func decoding<T>(_ what: String, _ body: () throws(ByteError) -> T) throws(ProtocolError) -> T {
    do {
        return try body()
    } catch {
        throw ProtocolError(.invalidMessage, "\(what): byte \(error.offset): \(error.reason)")
    }
}

/// Runs a decoder of one message of an answer. An error is a fault of the peer that answered, so it is never one that blames this
/// side's own caller, such as `.invalidMessage`.
package func decodingAnswer<T>(_ what: String, of peer: String, _ body: () throws(ByteError) -> T) throws(ProtocolError) -> T {
    do throws(ProtocolError) { return try decoding(what, body) } catch { throw error.asFaultOfAnswer(of: peer) }
}

extension ProtocolError {
    /// An error that was found while an answer was read, as a fault of the peer.
    package func asFaultOfAnswer(of peer: String) -> ProtocolError {
        switch code {
        case .badChecksum, .truncatedAnswer: ProtocolError(code, message, shards: [peer])
        default: ProtocolError(.malformedFrame, message, shards: [peer])
        }
    }
}
