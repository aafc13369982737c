import CZlib

/// Why compressed data could not be decoded.
package enum InflateError: Error, Equatable, CustomStringConvertible {
    /// The data decode to more bytes than the limit.
    case overLimit(bytes: Int)
    case damaged(String)
    case endsEarly

    package var description: String {
        switch self {
        case .overLimit(let bytes): "decoded data is over the limit of \(bytes) bytes"
        case .damaged(let reason): reason
        case .endsEarly: "compressed data ends early"
        }
    }
}

/// Streaming gzip or zlib decompression with a limit on the decoded bytes.
@safe package final class Inflate {
    private var stream = unsafe z_stream()
    private let limit: Int
    private var produced = 0
    private var finished = false
    private let takesPadding: Bool
    private var isPadded = false

    /// Starts a stream.
    /// - Parameters:
    ///   - limit: max decoded bytes in all; more are `.overLimit`.
    ///   - takesPadding: whether zeros after the last member are accepted; tapes and some programs leave them.
    package init(limit: Int, takesPadding: Bool = false) throws(InflateError) {
        self.limit = limit
        self.takesPadding = takesPadding
        // 15 window bits, +32 detects gzip or zlib by the header.
        let code = unsafe inflateInit2_(&stream, 15 + 32, ZLIB_VERSION, CInt(MemoryLayout<z_stream>.size))
        if code != Z_OK { throw .damaged("zlib could not start: \(code)") }
    }

    deinit { unsafe inflateEnd(&stream) }

    /// Decodes the next bytes of the stream. Concatenated gzip members are one stream (RFC 1952, 2.2).
    package func feed(_ bytes: [UInt8]) throws(InflateError) -> [UInt8] {
        var out: [UInt8] = []
        try feed(bytes, into: &out)
        return out
    }

    /// The same; if the data are damaged, `out` has what was decoded before the damage.
    package func feed(_ bytes: [UInt8], into out: inout [UInt8]) throws(InflateError) {
        var input = bytes
        let total = input.count
        var fault: InflateError?
        unsafe input.withUnsafeMutableBufferPointer { buffer in
            unsafe stream.next_in = buffer.baseAddress
            unsafe stream.avail_in = UInt32(buffer.count)
            fault = drain(into: &out, total: total)
            unsafe stream.next_in = nil
            unsafe stream.avail_in = 0
        }
        if let fault { throw fault }
    }

    /// Throws `.endsEarly` if the stream is not complete.
    package func finish() throws(InflateError) {
        if !finished { throw .endsEarly }
    }

    private func drain(into out: inout [UInt8], total: Int) -> InflateError? {
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            if finished {
                while takesPadding, unsafe stream.avail_in > 0, unsafe stream.next_in.pointee == 0 {
                    unsafe stream.next_in += 1
                    unsafe stream.avail_in -= 1
                    isPadded = true
                }
                if unsafe stream.avail_in == 0 { return nil }
                if isPadded {
                    return .damaged("data after the zeros that follow the last gzip member, at byte \(total - Int(unsafe stream.avail_in))")
                }
                unsafe inflateReset(&stream)
                finished = false
            }
            let size = chunk.count
            let code: CInt = unsafe chunk.withUnsafeMutableBufferPointer { buffer in
                unsafe stream.next_out = buffer.baseAddress
                unsafe stream.avail_out = UInt32(size)
                return unsafe inflate(&stream, Z_NO_FLUSH)
            }
            let got = size - Int(unsafe stream.avail_out)
            produced += got
            if produced > limit {
                return .overLimit(bytes: limit)
            }
            out.append(contentsOf: chunk[..<got])
            switch code {
            case Z_STREAM_END: finished = true
            case Z_OK:
                if unsafe stream.avail_in == 0 && got < size { return nil }
            case Z_BUF_ERROR: return nil
            default:
                return .damaged("damaged gzip data (\(code)), at byte \(total - Int(unsafe stream.avail_in))")
            }
        }
    }

    /// Decodes a whole gzip or zlib document.
    package static func decode(_ bytes: [UInt8], limit: Int) throws(InflateError) -> [UInt8] {
        let inflate = try Inflate(limit: limit)
        let out = try inflate.feed(bytes)
        try inflate.finish()
        return out
    }
}
