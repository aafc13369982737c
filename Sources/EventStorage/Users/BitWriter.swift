/// Values bit by bit, the lowest first.
struct BitWriter {
    private var bytes: [UInt8] = []
    private var held: UInt64 = 0
    private var count = 0

    /// Bytes of so many values of one width.
    static func bytes(_ count: Int, _ width: Int) -> Int { (count &* width &+ 7) &>> 3 }

    /// - Parameter width: at most 56.
    mutating func append(_ value: UInt64, _ width: Int) {
        held |= value << UInt64(count)
        count += width
        while count >= 8 {
            bytes.append(UInt8(truncatingIfNeeded: held))
            held >>= 8
            count -= 8
        }
    }

    /// What was written, zeros up to a whole byte; then nothing is.
    mutating func finish() -> [UInt8] {
        if count > 0 { bytes.append(UInt8(truncatingIfNeeded: held)) }
        defer { self = BitWriter() }
        return bytes
    }
}
