import CLZ4
import FunnelModel

/// Raw LZ4 blocks (LZ4 block format, no frame); the decoded size travels beside them and is checked first.
package enum LZ4Block {
    /// Below this a block is not worth a try.
    package static let minimumBytes = 128

    /// The compressed block, or nil where it would not save at least an eighth.
    package static func compress(_ bytes: [UInt8]) -> [UInt8]? {
        guard bytes.count >= minimumBytes, bytes.count <= Int(LZ4_MAX_INPUT_SIZE) else { return nil }
        let bound = bytes.count - bytes.count / 8
        let out = unsafe [UInt8](unsafeUninitializedCapacity: bound) { target, count in
            let written = unsafe bytes.withUnsafeBytes { source in
                unsafe LZ4_compress_default(
                    source.baseAddress?.assumingMemoryBound(to: CChar.self),
                    UnsafeMutableRawPointer(target.baseAddress)?.assumingMemoryBound(to: CChar.self),
                    CInt(bytes.count), CInt(bound))
            }
            count = max(0, Int(written))
        }
        return out.isEmpty ? nil : out
    }

    /// Exactly `size` bytes, or an error. `size` must have been checked against a limit by the caller.
    package static func decompress(_ bytes: [UInt8], range: Range<Int>, size: Int) throws(ByteError) -> [UInt8] {
        let range = range.clamped(to: 0..<bytes.count)
        // LZ4 can't expand by more than 255 times; refuse a lie before memory is taken for it.
        guard size >= 0, size <= range.count &* 255 &+ 64, size <= Int(LZ4_MAX_INPUT_SIZE) else {
            throw ByteError(offset: range.lowerBound, reason: "LZ4 block of \(range.count) bytes cannot hold \(size)")
        }
        var written: CInt = -1
        let out = unsafe [UInt8](unsafeUninitializedCapacity: size) { target, count in
            written = unsafe bytes.withUnsafeBytes { source in
                unsafe LZ4_decompress_safe(
                    source.baseAddress?.advanced(by: range.lowerBound).assumingMemoryBound(to: CChar.self),
                    UnsafeMutableRawPointer(target.baseAddress)?.assumingMemoryBound(to: CChar.self),
                    CInt(range.count), CInt(size))
            }
            count = max(0, Int(written))
        }
        guard written >= 0, out.count == size else {
            throw ByteError(offset: range.lowerBound, reason: "damaged LZ4 block: \(size) bytes announced, got \(written)")
        }
        return out
    }
}
