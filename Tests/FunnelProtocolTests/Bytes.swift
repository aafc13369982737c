import Codec
import FunnelModel
import FunnelProtocol

func hex(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
}

func bytes(hex text: String) -> [UInt8] {
    let digits = Array(text.utf8)
    return stride(from: 0, to: digits.count - 1, by: 2).map { i in
        UInt8(String(decoding: digits[i...(i + 1)], as: UTF8.self), radix: 16) ?? 0
    }
}

func ascii(_ text: String) -> [UInt8] { Array(text.utf8) }

/// A frame written by this file's own reading of `PROTOCOL.md`, as the protocol allows any sender to write it: not
/// compressed, however large. With `decodedLength` the body is announced as an LZ4 block.
func plainFrame(
    _ kind: FrameKind, _ context: FrameContext, _ body: [UInt8], decodedLength: Int? = nil
) -> [UInt8] {
    var out = ascii("SLC1") + [1, 0, kind.rawValue, decodedLength == nil ? 0 : 1]
    out += littleEndian(context.cluster) + littleEndian(context.request)
    out += littleEndian(context.project) + littleEndian(context.epoch)
    out += littleEndian(UInt32(body.count)) + littleEndian(UInt32(decodedLength ?? body.count))
    out += littleEndian(CRC32C.checksum(body)) + [UInt8](repeating: 0, count: 16)
    return out + littleEndian(CRC32C.checksum(out)) + body
}

func littleEndian<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
    (0..<(T.bitWidth / 8)).map { UInt8(truncatingIfNeeded: value >> T($0 * 8)) }
}

/// A frame with some header bytes overwritten and, unless told otherwise, the header's checksum made right again.
func tampered(_ frame: [UInt8], _ offset: Int, _ replacement: [UInt8], reseal: Bool = true) -> [UInt8] {
    var out = frame
    for (i, byte) in replacement.enumerated() { out[offset + i] = byte }
    return reseal ? resealed(out) : out
}

func resealed(_ frame: [UInt8]) -> [UInt8] {
    guard frame.count >= FrameHeader.size else { return frame }
    var out = frame
    for (i, byte) in littleEndian(CRC32C.checksum(out, range: 0..<60)).enumerated() { out[60 + i] = byte }
    return out
}

/// A frame whose lengths and checksums fit its body again, after the body was changed.
func refitted(_ frame: [UInt8]) -> [UInt8] {
    guard frame.count >= FrameHeader.size else { return frame }
    let body = Array(frame[FrameHeader.size...])
    var out = frame
    let compressed = frame[7] & 1 == 1
    for (i, byte) in littleEndian(UInt32(body.count)).enumerated() {
        out[32 + i] = byte
        if !compressed { out[36 + i] = byte }
    }
    for (i, byte) in littleEndian(CRC32C.checksum(body)).enumerated() { out[40 + i] = byte }
    return resealed(out)
}

/// The sections of a batch, taken apart and put together by this file's own reading of the layout.
struct RawBatch {
    var version: UInt8 = 1
    var rows: UInt64 = 0
    var sections: [[UInt8]] = []

    var bytes: [UInt8] {
        var out = ByteWriter()
        out.integer(version)
        out.varint(rows)
        for (i, section) in sections.enumerated() {
            out.integer(UInt8(i + 1))
            out.integer(UInt8(0))
            out.integer(UInt32(section.count))
            out.integer(UInt32(section.count))
            out.integer(CRC32C.checksum(section))
            out.append(section)
        }
        return out.bytes
    }

    /// The batch of the worked example in `PROTOCOL.md`.
    static let example = RawBatch(
        rows: 1,
        sections: [
            [1, 3] + ascii("ann"), [1, 7] + ascii("Sign Up"),
            [0, 0, 0xE0, 0xEC, 0xB6, 0xDA, 0x88, 0x83, 0x8A, 0x06, 0], [1, 3] + ascii("m-1"),
            [2, 1, 4] + ascii("nplan") + [1, 3] + ascii("pro"), [2, 0, 2, 6, 1, 1, 0],
        ])

    func replacing(_ section: Int, _ bytes: [UInt8]) -> RawBatch {
        var out = self
        out.sections[section - 1] = bytes
        return out
    }
}
