/// Conversion between 16 bytes and the text of a UUID in one case (RFC 9562 section 4).
enum UUIDText {
    static let bytes = 16
    static let characters = 36
    static func isDash(_ i: Int) -> Bool { i == 8 || i == 13 || i == 18 || i == 23 }

    /// nil if the text is not a UUID or has both cases; without letters it counts as lower case.
    static func pack(_ text: ArraySlice<UInt8>) -> (bytes: [UInt8], isUpper: Bool)? {
        guard text.count == characters else { return nil }
        var digits: [UInt8] = []
        digits.reserveCapacity(2 * bytes)
        var cases: UInt8 = 0
        for (i, byte) in text.enumerated() {
            switch byte {
            case 45 where isDash(i): continue
            case _ where isDash(i): return nil
            case 48...57: digits.append(byte - 48)
            case 97...102:
                digits.append(byte - 87)
                cases |= 1
            case 65...70:
                digits.append(byte - 55)
                cases |= 2
            default: return nil
            }
        }
        if cases == 3 { return nil }
        return (stride(from: 0, to: 2 * bytes, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }, cases == 2)
    }

    /// The eight hexadecimal digits of four bytes as text; the first digit is the lowest byte.
    @unsafe @inline(__always)
    private static func digits(_ at: UnsafeRawPointer, isUpper: Bool) -> UInt64 {
        var x = UInt64(UInt32(littleEndian: unsafe at.loadUnaligned(as: UInt32.self)))
        x = (x | x &<< 16) & 0x0000_FFFF_0000_FFFF
        x = (x | x &<< 8) & 0x00FF_00FF_00FF_00FF
        x = (x &>> 4 & 0x000F_000F_000F_000F) | (x & 0x000F_000F_000F_000F) &<< 8
        let letters = ((x &+ 0x0606_0606_0606_0606) &>> 4) & 0x0101_0101_0101_0101
        return x &+ 0x3030_3030_3030_3030 &+ letters &* (isUpper ? 7 : 39)
    }

    /// Writes 36 characters for 16 bytes.
    @unsafe @inline(__always)
    static func unpack(_ source: UnsafeRawPointer, isUpper: Bool, to text: UnsafeMutableRawPointer) {
        let second = unsafe digits(source + 4, isUpper: isUpper)
        let third = unsafe digits(source + 8, isUpper: isUpper)
        unsafe text.storeBytes(of: digits(source, isUpper: isUpper).littleEndian, as: UInt64.self)
        unsafe (text + 9).storeBytes(of: UInt32(truncatingIfNeeded: second).littleEndian, as: UInt32.self)
        unsafe (text + 14).storeBytes(of: UInt32(truncatingIfNeeded: second &>> 32).littleEndian, as: UInt32.self)
        unsafe (text + 19).storeBytes(of: UInt32(truncatingIfNeeded: third).littleEndian, as: UInt32.self)
        unsafe (text + 24).storeBytes(of: UInt32(truncatingIfNeeded: third &>> 32).littleEndian, as: UInt32.self)
        unsafe (text + 28).storeBytes(of: digits(source + 12, isUpper: isUpper).littleEndian, as: UInt64.self)
        for at in [8, 13, 18, 23] { unsafe text.storeBytes(of: 45, toByteOffset: at, as: UInt8.self) }
    }
}
