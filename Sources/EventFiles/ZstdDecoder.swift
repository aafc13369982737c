#if Zstd
    import CZstd

    /// Decompresses zstd (RFC 8878), one or more frames, a bounded number of bytes at a time: a few bytes can expand to
    /// gigabytes.
    final class ZstdDecoder: Decoder {
        private let stream: OpaquePointer
        private let name: String
        private var input: [UInt8] = []
        private var at = 0
        /// Whether a frame is open.
        private var isOpen = false

        init(name: String) throws {
            guard let stream = ZSTD_createDStream() else { throw FileFault("\(name): there is no memory to read zstd") }
            self.stream = stream
            self.name = name
        }

        deinit { ZSTD_freeDStream(stream) }

        func feed(_ bytes: [UInt8]) {
            input = bytes
            at = 0
        }

        func next() throws -> [UInt8]? {
            var fault: String?
            let room = TextSource.pieceBytes
            let text = [UInt8](unsafeUninitializedCapacity: room) { target, count in
                input.withUnsafeBytes { source in
                    var from = ZSTD_inBuffer(src: source.baseAddress, size: source.count, pos: at)
                    var to = ZSTD_outBuffer(dst: target.baseAddress, size: room, pos: 0)
                    while to.pos < room, from.pos < from.size || to.pos == 0 {
                        let before = (from.pos, to.pos)
                        let code = ZSTD_decompressStream(stream, &to, &from)
                        if ZSTD_isError(code) != 0 {
                            fault = String(cString: ZSTD_getErrorName(code))
                            break
                        }
                        // Between frames, a call without input makes no progress; its result does not mean an open frame.
                        if before == (from.pos, to.pos) { break }
                        isOpen = code != 0
                    }
                    at = from.pos
                    count = to.pos
                }
            }
            if let fault { throw FileFault("\(name): the zstd data is damaged (\(fault)); the text before the damage was read") }
            return text.isEmpty ? nil : text
        }

        func finish() throws {
            if isOpen { throw FileFault("\(name): the zstd data ends early; the text before that was read") }
        }
    }
#endif
