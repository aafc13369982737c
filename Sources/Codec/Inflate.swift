import CZlib

/// gzip (RFC 1952) or zlib decompression. Concatenated gzip members are one stream (RFC 1952, 2.2).
@safe package final class Inflate: Decompressor {
    private var stream = unsafe z_stream()
    private let limit: Int
    private var produced = 0
    private var input: [UInt8] = []
    private var at = 0
    /// Bytes before `input`.
    private var base = 0
    private var chunk = [UInt8](repeating: 0, count: Compression.stepBytes)
    private var isFinished = false
    private let takesPadding: Bool
    private var isPadded = false
    private var fault: DecompressionError?

    /// Starts a stream; the parameters are those of `Compression.decompressor`.
    package init(limit: Int, takesPadding: Bool = false) throws(DecompressionError) {
        self.limit = limit
        self.takesPadding = takesPadding
        // 15 window bits, +32 detects gzip or zlib by the header.
        let code = unsafe inflateInit2_(&stream, 15 + 32, ZLIB_VERSION, CInt(MemoryLayout<z_stream>.size))
        if code != Z_OK { throw .damaged("zlib could not start: \(code)") }
    }

    deinit { unsafe inflateEnd(&stream) }

    package func feed(_ bytes: [UInt8]) {
        base += input.count
        input = bytes
        at = 0
    }

    package func next(into out: inout [UInt8]) throws(DecompressionError) -> Bool {
        while true {
            if let fault { throw fault }
            if isFinished {
                guard try startMember() else { return false }
            }
            let (code, got) = step()
            produced += got
            if produced > limit {
                fault = .overLimit(bytes: limit)
                continue
            }
            out.append(contentsOf: chunk[..<got])
            switch code {
            case Z_STREAM_END: isFinished = true
            case Z_OK: if got == 0, at == input.count { return false }
            case Z_BUF_ERROR: return false
            default: fault = .damaged("damaged gzip data (\(code)), at byte \(base + at)")
            }
            if got > 0 { return true }
        }
    }

    package func finish() throws(DecompressionError) {
        if !isFinished { throw .endsEarly }
    }

    /// Decodes a whole gzip or zlib document.
    package static func decode(_ bytes: [UInt8], limit: Int) throws(DecompressionError) -> [UInt8] {
        let inflate = try Inflate(limit: limit)
        let out = try inflate.decode(bytes)
        try inflate.finish()
        return out
    }

    /// Starts the next member, if there is one.
    private func startMember() throws(DecompressionError) -> Bool {
        while takesPadding, at < input.count, input[at] == 0 {
            at += 1
            isPadded = true
        }
        if at == input.count { return false }
        if isPadded { throw .damaged("data after the zeros that follow the last gzip member, at byte \(base + at)") }
        unsafe inflateReset(&stream)
        isFinished = false
        return true
    }

    /// Decodes into `chunk`.
    private func step() -> (code: CInt, bytes: Int) {
        let room = chunk.count
        return unsafe input.withUnsafeBufferPointer { source in
            unsafe chunk.withUnsafeMutableBufferPointer { target in
                let rest = unsafe UnsafeMutableBufferPointer(mutating: UnsafeBufferPointer(rebasing: source[at...]))
                unsafe stream.next_in = rest.baseAddress
                unsafe stream.avail_in = UInt32(clamping: rest.count)
                unsafe stream.next_out = target.baseAddress
                unsafe stream.avail_out = UInt32(room)
                let before = unsafe stream.avail_in
                let code = unsafe inflate(&stream, Z_NO_FLUSH)
                at += Int(before - (unsafe stream.avail_in))
                unsafe stream.next_in = nil
                return (code, room - Int(unsafe stream.avail_out))
            }
        }
    }
}
