import CFunnelShims

/// CRC-32C, which guards every frame, log record and block against accidents (not against an attacker).
package enum CRC32C {
    package static func checksum(_ bytes: [UInt8], seed: UInt32 = 0) -> UInt32 {
        checksum(bytes, range: 0..<bytes.count, seed: seed)
    }

    /// Of bytes that are not in an array, such as a mapped file's.
    package static func checksum(_ bytes: UnsafeRawBufferPointer, seed: UInt32 = 0) -> UInt32 {
        guard let base = bytes.baseAddress else { return seed }
        return unsafe sluice_crc32c(seed, base.assumingMemoryBound(to: UInt8.self), bytes.count)
    }

    /// - Parameter seed: the checksum of the bytes before, to go on from.
    package static func checksum(_ bytes: [UInt8], range: Range<Int>, seed: UInt32 = 0) -> UInt32 {
        let range = range.clamped(to: 0..<bytes.count)
        return unsafe bytes.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return seed }
            return unsafe sluice_crc32c(seed, base + range.lowerBound, range.count)
        }
    }
}
