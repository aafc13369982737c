#if Zstd
    import CZstd

    /// zstd decompression (RFC 8878) of one or more frames. A frame's own statement of its size is not used: memory is its window,
    /// which has a limit, and decoded bytes count as they come.
    @safe final class Unzstd: Decompressor {
        private let stream: OpaquePointer
        private let limit: Int
        private let windowBits: Int32
        private var produced = 0
        private var input: [UInt8] = []
        private var at = 0
        /// Bytes before `input`.
        private var base = 0
        private var chunk = [UInt8](repeating: 0, count: Compression.stepBytes)
        private var isOpen = false
        private var hasFrames = false
        private var fault: DecompressionError?

        /// Starts a stream; the parameters are those of `Compression.decompressor`.
        init(limit: Int, windowBits: Int32) throws(DecompressionError) {
            guard let stream = unsafe ZSTD_createDStream() else { throw .damaged("there is no memory to read zstd") }
            unsafe self.stream = unsafe stream
            self.limit = limit
            self.windowBits = windowBits
            let code = unsafe ZSTD_DCtx_setParameter(stream, ZSTD_d_windowLogMax, windowBits)
            if ZSTD_isError(code) != 0 { throw .damaged("zstd takes no window limit of 2^\(windowBits) bytes") }
        }

        deinit { unsafe ZSTD_freeDStream(stream) }

        func feed(_ bytes: [UInt8]) {
            base += input.count
            input = bytes
            at = 0
        }

        func next(into out: inout [UInt8]) throws(DecompressionError) -> Bool {
            while true {
                if let fault { throw fault }
                if !isOpen {
                    if at == input.count { return false }
                    // Data frames and skippable frames. Frames of zstd before 0.8 have other first bytes; the library may read them, with
                    // no limit on their window.
                    guard input[at] == 0x28 || input[at] & 0xF0 == 0x50 else {
                        throw .damaged("no zstd frame begins at byte \(base + at)")
                    }
                }
                let start = at
                let (code, got) = step()
                if ZSTD_isError(code) != 0 {
                    fault = .damaged(reason(code))
                } else {
                    isOpen = code != 0
                    hasFrames = true
                }
                produced += got
                if produced > limit {
                    fault = .overLimit(bytes: limit)
                    continue
                }
                out.append(contentsOf: chunk[..<got])
                if got > 0 { return true }
                if at == start, fault == nil { return false }
            }
        }

        func finish() throws(DecompressionError) {
            if isOpen || !hasFrames { throw .endsEarly }
        }

        private func reason(_ code: Int) -> String {
            if ZSTD_getErrorCode(code) == ZSTD_error_frameParameter_windowTooLarge {
                return "a zstd frame has a window over the limit of \(1 << windowBits) bytes"
            }
            return "damaged zstd data (\(unsafe String(cString: ZSTD_getErrorName(code)))), at byte \(base + at)"
        }

        /// Decodes into `chunk`, up to the end of a frame.
        private func step() -> (code: Int, bytes: Int) {
            unsafe input.withUnsafeBytes { source in
                unsafe chunk.withUnsafeMutableBytes { target in
                    var from = unsafe ZSTD_inBuffer(src: source.baseAddress, size: source.count, pos: at)
                    var to = unsafe ZSTD_outBuffer(dst: target.baseAddress, size: target.count, pos: 0)
                    let code = unsafe ZSTD_decompressStream(stream, &to, &from)
                    at = unsafe from.pos
                    return unsafe (code, to.pos)
                }
            }
        }
    }
#endif
