import Codec
import FunnelModel

/// The bytes of an immutable file, mapped where the file system can. Whoever reads them checks them first: what lies
/// here may be damaged. Released with the last reference.
@safe package final class FileBytes: @unchecked Sendable {
    // Sendable: the bytes never change but to zeros, of which `isIntact` tells, and `release` runs once, after every reader.
    private let base: UnsafeRawPointer
    package let count: Int
    private let damaged: () -> Bool
    private let release: () -> Void

    /// - Parameters:
    ///   - damaged: tells whether some bytes that were read could not be, and came as zeros.
    ///   - release: gives the memory back.
    package init(unsafeBase base: UnsafeRawPointer, count: Int, damaged: @escaping () -> Bool, release: @escaping () -> Void) {
        unsafe self.base = unsafe base
        self.count = count
        self.damaged = damaged
        self.release = release
    }

    /// False once bytes were read that a cut file or a failed disk does not have. To be asked after the bytes were used.
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

    /// The bytes of a range, cut to what is there.
    package func bytes(_ range: Range<Int>) -> [UInt8] {
        let range = range.clamped(to: 0..<count)
        return unsafe Array(UnsafeRawBufferPointer(start: base + range.lowerBound, count: range.count))
    }

    /// CRC-32C of a range, cut to what is there.
    func checksum(_ range: Range<Int>, seed: UInt32 = 0) -> UInt32 {
        let range = range.clamped(to: 0..<count)
        return unsafe CRC32C.checksum(UnsafeRawBufferPointer(start: base + range.lowerBound, count: range.count), seed: seed)
    }

    /// A pointer at an offset; `need` bytes from there are inside, or the answer is nil. Good while the object lives.
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
