import Codec
import FunnelModel

/// The bytes of an immutable file, mapped if the file system can. They may be damaged, so readers check them first. Released
/// with the last reference.
@safe package final class FileBytes: @unchecked Sendable {
    // Sendable: the bytes never change, except to zeros, which `isIntact` reports; `release` runs once, after every reader.
    private let base: UnsafeRawPointer
    package let count: Int
    private let damaged: () -> Bool
    private let release: () -> Void

    /// Bytes at `base`, which must stay valid until `release`.
    /// - Parameters:
    ///   - damaged: whether some bytes could not be read, and came as zeros.
    ///   - release: releases the memory.
    package init(unsafeBase base: UnsafeRawPointer, count: Int, damaged: @escaping () -> Bool, release: @escaping () -> Void) {
        unsafe self.base = unsafe base
        self.count = count
        self.damaged = damaged
        self.release = release
    }

    /// False once bytes were used that could not be read: the file was cut, or the disk failed. Check it after the bytes were used.
    package var isIntact: Bool { !damaged() }

    /// A copy in memory.
    package convenience init(_ bytes: [UInt8]) {
        let memory = UnsafeMutableRawPointer.allocate(byteCount: max(1, bytes.count), alignment: 64)
        unsafe bytes.withUnsafeBytes { source in
            if let from = source.baseAddress { unsafe memory.copyMemory(from: from, byteCount: source.count) }
        }
        unsafe self.init(unsafeBase: UnsafeRawPointer(memory), count: bytes.count) {
            false
        } release: {
            unsafe memory.deallocate()
        }
    }

    deinit { release() }

    /// The bytes of a range, clamped to the file.
    package func bytes(_ range: Range<Int>) -> [UInt8] {
        let range = range.clamped(to: 0..<count)
        return unsafe Array(UnsafeRawBufferPointer(start: base + range.lowerBound, count: range.count))
    }

    /// CRC-32C of a range, clamped to the file.
    func checksum(_ range: Range<Int>, seed: UInt32 = 0) -> UInt32 {
        let range = range.clamped(to: 0..<count)
        return unsafe CRC32C.checksum(UnsafeRawBufferPointer(start: base + range.lowerBound, count: range.count), seed: seed)
    }

    /// A pointer to an offset, valid while the object lives; nil unless `need` bytes from there are inside the file.
    func pointer(at offset: Int, need: Int) -> UnsafeRawPointer? {
        guard offset >= 0, need >= 0, offset <= count - need else { return nil }
        return unsafe base + offset
    }

    /// A little-endian value; 0 outside the file.
    func load<T: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, as type: T.Type = T.self) -> T {
        guard let at = unsafe pointer(at: offset, need: MemoryLayout<T>.size) else { return 0 }
        return T(littleEndian: unsafe at.loadUnaligned(as: T.self))
    }
}
