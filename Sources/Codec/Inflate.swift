import CZlib
import FunnelModel

/// Streaming gzip or zlib decompression with a cap on what comes out.
@safe package final class Inflate {
    private var stream = unsafe z_stream()
    private let limit: Int
    private var produced = 0
    private var finished = false
    private let takesPadding: Bool
    private var isPadded = false

    /// - Parameters:
    ///   - limit: decoded bytes in all; one more is an error naming it.
    ///   - takesPadding: zeros behind the last member, which tapes and some programs leave, are no error.
    package init(limit: Int, takesPadding: Bool = false) throws(ByteError) {
        self.limit = limit
        self.takesPadding = takesPadding
        // 15 window bits, +32 detects gzip or zlib by the header.
        let code = unsafe inflateInit2_(&stream, 15 + 32, ZLIB_VERSION, CInt(MemoryLayout<z_stream>.size))
        if code != Z_OK { throw ByteError(offset: 0, reason: "zlib could not start: \(code)") }
    }

    deinit { unsafe inflateEnd(&stream) }

    /// Everything that `bytes` decode to. Concatenated gzip members are one stream (RFC 1952, 2.2).
    package func feed(_ bytes: [UInt8]) throws(ByteError) -> [UInt8] {
        var out: [UInt8] = []
        try feed(bytes, into: &out)
        return out
    }

    /// The same; where the data are damaged, `out` has what stands before the damage.
    package func feed(_ bytes: [UInt8], into out: inout [UInt8]) throws(ByteError) {
        var input = bytes
        let total = input.count
        var fault: ByteError?
        unsafe input.withUnsafeMutableBufferPointer { buffer in
            unsafe stream.next_in = buffer.baseAddress
            unsafe stream.avail_in = UInt32(buffer.count)
            fault = drain(into: &out, total: total)
            unsafe stream.next_in = nil
            unsafe stream.avail_in = 0
        }
        if let fault { throw fault }
    }

    /// An error where the stream broke off.
    package func finish() throws(ByteError) {
        if !finished { throw ByteError(offset: 0, reason: "compressed data ends early") }
    }

    private func drain(into out: inout [UInt8], total: Int) -> ByteError? {
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            if finished {
                while takesPadding, unsafe stream.avail_in > 0, unsafe stream.next_in.pointee == 0 {
                    unsafe stream.next_in += 1
                    unsafe stream.avail_in -= 1
                    isPadded = true
                }
                if unsafe stream.avail_in == 0 { return nil }
                if isPadded { return ByteError(offset: total - Int(unsafe stream.avail_in), reason: "data after the zeros behind the last gzip member") }
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
                return ByteError(offset: 0, reason: "decoded data is over the limit of \(limit) bytes")
            }
            out.append(contentsOf: chunk[..<got])
            switch code {
            case Z_STREAM_END: finished = true
            case Z_OK:
                if unsafe stream.avail_in == 0 && got < size { return nil }
            case Z_BUF_ERROR: return nil
            default:
                return ByteError(offset: total - Int(unsafe stream.avail_in), reason: "damaged gzip data (\(code))")
            }
        }
    }

    /// A whole gzip or zlib document.
    package static func decode(_ bytes: [UInt8], limit: Int) throws(ByteError) -> [UInt8] {
        let inflate = try Inflate(limit: limit)
        let out = try inflate.feed(bytes)
        try inflate.finish()
        return out
    }
}
