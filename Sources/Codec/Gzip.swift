import CZlib

/// gzip compression of whole documents (RFC 1952).
package enum Gzip {
    /// Compresses bytes to one gzip member; nil if zlib has no memory.
    package static func encode(_ bytes: [UInt8]) -> [UInt8]? {
        var stream = unsafe z_stream()
        // 15 window bits, +16 writes gzip's header.
        let code = unsafe deflateInit2_(
            &stream, Z_BEST_COMPRESSION, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY, ZLIB_VERSION, CInt(MemoryLayout<z_stream>.size))
        guard code == Z_OK else { return nil }
        defer { unsafe deflateEnd(&stream) }
        var input = bytes
        var out = [UInt8](repeating: 0, count: Int(unsafe deflateBound(&stream, UInt(bytes.count))))
        let room = out.count
        let ended = unsafe input.withUnsafeMutableBufferPointer { source in
            unsafe out.withUnsafeMutableBufferPointer { target in
                unsafe stream.next_in = source.baseAddress
                unsafe stream.avail_in = UInt32(source.count)
                unsafe stream.next_out = target.baseAddress
                unsafe stream.avail_out = UInt32(room)
                return unsafe deflate(&stream, Z_FINISH) == Z_STREAM_END
            }
        }
        guard ended else { return nil }
        out.removeLast(Int(unsafe stream.avail_out))
        return out
    }
}
