import Codec
import FunnelModel

/// A frame with its decoded body.
package struct Frame: Equatable, Sendable {
    package var kind: FrameKind
    package var context: FrameContext
    package var body: [UInt8]

    package init(_ kind: FrameKind, _ context: FrameContext, body: [UInt8]) {
        self.kind = kind
        self.context = context
        self.body = body
    }

    /// Header and body; the body is an LZ4 block if that saves an eighth.
    package func encode() -> [UInt8] {
        // For a long body speed matters more than the last percents of size: it crosses a network once.
        let packed = LZ4Block.compress(body, acceleration: body.count > 1 << 16 ? 8 : 1, state: LZ4Block.State())
        let wire = packed ?? body
        let header = FrameHeader(
            kind: kind, context: context, compressed: packed != nil, encodedLength: wire.count,
            decodedLength: body.count, bodyChecksum: CRC32C.checksum(wire))
        return header.bytes + wire
    }
}

/// Cuts frames out of bytes as they arrive, in chunks of any size. It buffers what was fed and not returned yet.
package struct FrameDecoder: Sendable {
    private var buffer: [UInt8] = []
    private var start = 0
    private var header: FrameHeader?

    package init() {}

    package mutating func feed(_ bytes: some Sequence<UInt8>) {
        if start > 0, start == buffer.count || start > 1 << 16 {
            buffer.removeFirst(start)
            start = 0
        }
        buffer.append(contentsOf: bytes)
    }

    /// The next whole frame; nil if more bytes are needed.
    package mutating func next() throws(ProtocolError) -> Frame? {
        if header == nil {
            guard buffer.count - start >= FrameHeader.size else { return nil }
            header = try FrameHeader.parse(buffer, at: start)
        }
        guard let header, buffer.count - start >= FrameHeader.size + header.encodedLength else { return nil }
        let body = (start + FrameHeader.size)..<(start + FrameHeader.size + header.encodedLength)
        start = body.upperBound
        self.header = nil
        guard CRC32C.checksum(buffer, range: body) == header.bodyChecksum else {
            throw ProtocolError(.badChecksum, "\(header.kind) body checksum does not match")
        }
        guard header.compressed else { return Frame(header.kind, header.context, body: Array(buffer[body])) }
        do {
            let decoded = try LZ4Block.decompress(buffer, range: body, size: header.decodedLength)
            return Frame(header.kind, header.context, body: decoded)
        } catch {
            throw ProtocolError(.damagedCompression, error.reason)
        }
    }

    /// Throws if bytes of an unfinished frame are left.
    package func finish() throws(ProtocolError) {
        if start < buffer.count { throw ProtocolError(.malformedFrame, "\(buffer.count - start) bytes of an unfinished frame") }
    }

    /// The frame of a request body, which must hold exactly one.
    package static func single(_ bytes: some Sequence<UInt8>) throws(ProtocolError) -> Frame {
        var decoder = FrameDecoder()
        decoder.feed(bytes)
        guard let frame = try decoder.next() else { throw ProtocolError(.malformedFrame, "request holds no whole frame") }
        try decoder.finish()
        return frame
    }
}
