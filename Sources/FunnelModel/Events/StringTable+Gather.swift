extension StringTable {
    /// The strings at `indices`, in that order.
    package func gather<Index: FixedWidthInteger & BitwiseCopyable>(_ indices: [Index]) -> StringTable {
        let (source, indices) = (offsets.span, indices.span)
        var total = 0
        let ends = [UInt32](capacity: indices.count + 1) { out in
            out.append(0)
            var i = 0
            while i < indices.count {
                total &+= Self.length(source, Int(indices[i]))
                out.append(UInt32(truncatingIfNeeded: total))
                i &+= 1
            }
        }
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: total) { out, filled in
            if let base = out.baseAddress { unsafe copy(indices, to: UnsafeMutableRawPointer(base), total) }
            filled = total
        }
        return StringTable(heap: bytes, offsets: ends) ?? StringTable()
    }

    @inline(__always)
    private static func length(_ offsets: Span<UInt32>, _ i: Int) -> Int {
        let (start, end) = (offsets[i], offsets[i &+ 1])
        return end > start ? Int(end &- start) : 0
    }

    /// Copies the strings one after the other to `target`, which must have room for `total` bytes, the sum of their lengths.
    @unsafe @inline(__always)
    private func copy<Index: FixedWidthInteger & BitwiseCopyable>(
        _ indices: Span<Index>, to target: UnsafeMutableRawPointer, _ total: Int
    ) {
        let offsets = offsets.span
        unsafe heap.withUnsafeBytes { heap in
            guard let source = heap.baseAddress else { return }
            var at = 0
            var i = 0
            while i < indices.count {
                let index = Int(indices[i])
                let start = Int(offsets[index])
                let length = Self.length(offsets, index)
                // Most strings are short: copying two words is faster than a call. The next string overwrites the excess.
                if length <= 16, start &+ 16 <= heap.count, at &+ 16 <= total {
                    let words = unsafe source.loadUnaligned(fromByteOffset: start, as: SIMD2<UInt64>.self)
                    unsafe target.storeBytes(of: words, toByteOffset: at, as: SIMD2<UInt64>.self)
                } else {
                    unsafe (target + at).copyMemory(from: source + start, byteCount: length)
                }
                at &+= length
                i &+= 1
            }
        }
    }

    /// XXH64 of one string, as `XXH64.hash` of its bytes.
    package func hash(_ index: Int) -> UInt64 {
        let span = heap.span
        return XXH64.hash(unsafe span.bytes.extracting(range(index)))
    }
}
