import CLZ4
import FunnelModel

/// Raw LZ4 blocks (LZ4 block format, no frame); the decoded size travels beside them and is checked first.
package enum LZ4Block {
    /// Below this a block is not worth a try.
    package static let minimumBytes = 128

    /// The compressor's tables (16 KiB), to be kept for many blocks by a worker that packs many.
    @safe package struct State: ~Copyable {
        fileprivate let memory: UnsafeMutableRawPointer

        package init() {
            unsafe memory = UnsafeMutableRawPointer.allocate(
                byteCount: Int(LZ4_sizeofState()), alignment: MemoryLayout<UInt64>.alignment)
        }

        deinit { unsafe memory.deallocate() }
    }

    /// The compressed block, or nil where it would not save at least an eighth.
    package static func compress(_ bytes: [UInt8]) -> [UInt8]? {
        let state = State()
        return compress(bytes, state: state)
    }

    /// - Parameter acceleration: 1 packs best; each step more is some percent quicker and packs less well.
    package static func compress(_ bytes: [UInt8], acceleration: Int = 1, state: borrowing State) -> [UInt8]? {
        unsafe bytes.withUnsafeBytes { unsafe compress($0, acceleration: acceleration, state: state) }
    }

    /// As above, of memory that the caller keeps in place.
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

    /// Exactly `size` bytes, or an error. `size` must have been checked against a limit by the caller.
    package static func decompress(_ bytes: [UInt8], range: Range<Int>, size: Int) throws(ByteError) -> [UInt8] {
        let range = range.clamped(to: 0..<bytes.count)
        let span = bytes.span
        return try unsafe span.bytes.withUnsafeBytes { buffer throws(ByteError) in
            try unsafe decompress(UnsafeRawBufferPointer(rebasing: buffer[range]), size: size, at: range.lowerBound)
        }
    }

    /// As above, from memory that the caller keeps in place.
    /// - Parameter offset: where the block stands, for the error.
    package static func decompress(
        _ bytes: UnsafeRawBufferPointer, size: Int, at offset: Int = 0
    ) throws(ByteError) -> [UInt8] {
        // LZ4 can't expand by more than 255 times; refuse a lie before memory is taken for it.
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
