import CLZ4
import FunnelModel

/// Raw LZ4 blocks (LZ4 block format, no frame). The decoded size is kept beside them, and is checked first.
package enum LZ4Block {
    /// Min bytes for which compression is tried.
    package static let minimumBytes = 128

    /// The compressor's tables (16 KiB), which a worker may reuse for many blocks.
    @safe package struct State: ~Copyable {
        fileprivate let memory: UnsafeMutableRawPointer

        package init() {
            unsafe memory = UnsafeMutableRawPointer.allocate(
                byteCount: Int(LZ4_sizeofState()), alignment: MemoryLayout<UInt64>.alignment)
        }

        deinit { unsafe memory.deallocate() }
    }

    /// The compressed block; nil if it would not save at least an eighth.
    package static func compress(_ bytes: [UInt8]) -> [UInt8]? {
        let state = State()
        return compress(bytes, state: state)
    }

    /// The same with tables that are reused.
    /// - Parameter acceleration: 1 compresses best; each step more is some percent faster and compresses less.
    package static func compress(_ bytes: [UInt8], acceleration: Int = 1, state: borrowing State) -> [UInt8]? {
        unsafe bytes.withUnsafeBytes { unsafe compress($0, acceleration: acceleration, state: state) }
    }

    /// The same for memory that the caller keeps valid.
    package static func compress(
        _ bytes: UnsafeRawBufferPointer, acceleration: Int = 1, state: borrowing State
    ) -> [UInt8]? {
        guard bytes.count >= minimumBytes, bytes.count <= Int(LZ4_MAX_INPUT_SIZE) else { return nil }
        let bound = bytes.count - bytes.count / 8
        let memory = unsafe state.memory
        let out = unsafe [UInt8](unsafeUninitializedCapacity: bound) { target, count in
            let written = unsafe LZ4_compress_fast_extState(
                memory, bytes.baseAddress?.assumingMemoryBound(to: CChar.self),
                UnsafeMutableRawPointer(target.baseAddress)?.assumingMemoryBound(to: CChar.self),
                CInt(bytes.count), CInt(bound), CInt(clamping: max(1, acceleration)))
            count = max(0, Int(written))
        }
        return out.isEmpty ? nil : out
    }

    /// Decodes a block to exactly `size` bytes, or throws. The caller must have checked `size` against a limit.
    package static func decompress(_ bytes: [UInt8], range: Range<Int>, size: Int) throws(ByteError) -> [UInt8] {
        let range = range.clamped(to: 0..<bytes.count)
        let span = bytes.span
        return try unsafe span.bytes.withUnsafeBytes { buffer throws(ByteError) in
            try unsafe decompress(UnsafeRawBufferPointer(rebasing: buffer[range]), size: size, at: range.lowerBound)
        }
    }

    /// The same for memory that the caller keeps valid.
    /// - Parameter offset: offset of the block, for errors.
    package static func decompress(
        _ bytes: UnsafeRawBufferPointer, size: Int, at offset: Int = 0
    ) throws(ByteError) -> [UInt8] {
        // LZ4 cannot expand by more than 255 times, so an impossible size is rejected before allocation.
        guard size >= 0, size <= bytes.count &* 255 &+ 64, size <= Int(LZ4_MAX_INPUT_SIZE), bytes.count <= Int(CInt.max) else {
            throw ByteError(offset: offset, reason: "LZ4 block of \(bytes.count) bytes cannot hold \(size)")
        }
        var written: CInt = -1
        let out = unsafe [UInt8](unsafeUninitializedCapacity: size) { target, count in
            written = unsafe LZ4_decompress_safe(
                bytes.baseAddress?.assumingMemoryBound(to: CChar.self),
                UnsafeMutableRawPointer(target.baseAddress)?.assumingMemoryBound(to: CChar.self),
                CInt(bytes.count), CInt(size))
            count = max(0, Int(written))
        }
        guard written >= 0, out.count == size else {
            throw ByteError(offset: offset, reason: "damaged LZ4 block: \(size) bytes announced, got \(written)")
        }
        return out
    }
}
