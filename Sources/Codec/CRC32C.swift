import CShims

/// CRC-32C (RFC 3720, B.4), which guards every frame, log record and block against accidents (not against an attacker).
package enum CRC32C {
    package static func checksum(_ bytes: [UInt8], seed: UInt32 = 0) -> UInt32 {
        unsafe bytes.withUnsafeBytes { unsafe checksum($0, seed: seed) }
    }

    /// The checksum of a range, clamped to the bytes.
    /// - Parameter seed: the checksum of the bytes before, which this one continues.
    package static func checksum(_ bytes: [UInt8], range: Range<Int>, seed: UInt32 = 0) -> UInt32 {
        let range = range.clamped(to: 0..<bytes.count)
        return unsafe bytes.withUnsafeBytes { unsafe checksum(UnsafeRawBufferPointer(rebasing: $0[range]), seed: seed) }
    }

    /// The checksum of memory that the caller keeps valid, such as a mapped file.
    package static func checksum(_ bytes: UnsafeRawBufferPointer, seed: UInt32 = 0) -> UInt32 {
        guard let base = bytes.baseAddress else { return seed }
        return unsafe sluice_crc32c(seed, base.assumingMemoryBound(to: UInt8.self), bytes.count)
    }

    /// The same checksum, slower: for machines without a CRC-32C instruction.
    package static func portableChecksum(_ bytes: UnsafeRawBufferPointer, seed: UInt32 = 0) -> UInt32 {
        guard let base = bytes.baseAddress else { return seed }
        return unsafe sluice_crc32c_portable(seed, base.assumingMemoryBound(to: UInt8.self), bytes.count)
    }
}
