import CShims

/// CRC-32C, which guards every frame, log record and block against accidents (not against an attacker).
package enum CRC32C {
    package static func checksum(_ bytes: [UInt8], seed: UInt32 = 0) -> UInt32 {
        unsafe bytes.withUnsafeBytes { unsafe checksum($0, seed: seed) }
    }

    /// - Parameter seed: the checksum of the bytes before, to go on from.
    package static func checksum(_ bytes: [UInt8], range: Range<Int>, seed: UInt32 = 0) -> UInt32 {
        let range = range.clamped(to: 0..<bytes.count)
        return unsafe bytes.withUnsafeBytes { unsafe checksum(UnsafeRawBufferPointer(rebasing: $0[range]), seed: seed) }
    }

    /// Of memory that the caller keeps in place, a mapped file for instance.
    package static func checksum(_ bytes: UnsafeRawBufferPointer, seed: UInt32 = 0) -> UInt32 {
        guard let base = bytes.baseAddress else { return seed }
        return unsafe sluice_crc32c(seed, base.assumingMemoryBound(to: UInt8.self), bytes.count)
    }

    /// What machines without the processor's instruction compute: the same, more slowly.
    package static func portableChecksum(_ bytes: UnsafeRawBufferPointer, seed: UInt32 = 0) -> UInt32 {
        guard let base = bytes.baseAddress else { return seed }
        return unsafe sluice_crc32c_portable(seed, base.assumingMemoryBound(to: UInt8.self), bytes.count)
    }
}
