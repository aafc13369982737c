/// Packs values bit by bit, the lowest bit first.
struct BitWriter {
    private var bytes: [UInt8] = []
    private var held: UInt64 = 0
    private var count = 0

    /// Bytes that `count` values of `width` bits take.
    static func bytes(_ count: Int, _ width: Int) -> Int { (count &* width &+ 7) &>> 3 }

    /// Appends the lowest `width` bits, at most 56; the bits above them must be 0.
    mutating func append(_ value: UInt64, _ width: Int) {
        held |= value << UInt64(count)
        count += width
        while count >= 8 {
            bytes.append(UInt8(truncatingIfNeeded: held))
            held >>= 8
            count -= 8
        }
    }

    /// Returns what was written, with zeros up to a whole byte, and begins anew.
    mutating func finish() -> [UInt8] {
        if count > 0 { bytes.append(UInt8(truncatingIfNeeded: held)) }
        defer { self = BitWriter() }
        return bytes
    }
}
