/// Blocks of 256 integers of one width, 0 to 32 bits. The layout is vertical: eight lanes of 32-bit words, value `8 r + l`
/// being the `r`-th of lane `l`, so that eight values are unpacked at a time with the same shift. A block of width `w` takes
/// `32 w` bytes. Idea: D. Lemire and L. Boytsov, "Decoding billions of integers per second through vectorization", 2015.
package enum PackedIntegers {
    package static let blockValues = 256
    /// Bytes that an unpacker may read after a block's end: they must exist wherever a block is stored.
    package static let slack = 32

    /// Bits that hold `value`.
    package static func width(of value: UInt32) -> Int { 32 - value.leadingZeroBitCount }

    package static func bytes(width: Int) -> Int { 32 * width }

    /// Appends the block of `values[start..<start + 256]`, all of which fit the width; values after the array's end are 0.
    package static func pack(_ values: [UInt32], from start: Int, width: Int, into out: inout [UInt8]) {
        if width == 0 { return }
        var words = [UInt32](repeating: 0, count: 8 * width)
        for i in 0..<min(blockValues, values.count - start) {
            let value = values[start + i]
            let bit = (i >> 3) * width
            let word = (bit >> 5) * 8 + (i & 7)
            let shift = UInt32(bit & 31)
            words[word] |= value &<< shift
            if Int(shift) + width > 32 { words[word + 8] |= value &>> (32 - shift) }
        }
        unsafe words.withUnsafeBytes { unsafe out.append(contentsOf: $0) }
    }

    /// Unpacks a block. The caller has checked that `bytes(width:) + slack` bytes can be read, that `width` is at most 32
    /// and that 256 values can be written.
    package static func unpack(_ source: UnsafeRawPointer, width: Int, to target: UnsafeMutablePointer<UInt32>) {
        unsafe unpackers[width](source, target)
    }
}

/// One compiled function per width, in which masks and shifts are constants.
private enum Unpack<let bits: Int> {
    static func run(_ source: UnsafeRawPointer, _ target: UnsafeMutablePointer<UInt32>) {
        // The block has no bytes, so there may be nothing to read.
        if bits == 0 { return unsafe target.update(repeating: 0, count: PackedIntegers.blockValues) }
        let mask = SIMD8<UInt32>(repeating: bits == 32 ? .max : (1 &<< UInt32(truncatingIfNeeded: bits)) &- 1)
        let out = UnsafeMutableRawPointer(target)
        var row = 0
        while row < 32 {
            let bit = row &* bits
            let word = bit &>> 5
            let shift = SIMD8<UInt32>(repeating: UInt32(truncatingIfNeeded: bit & 31))
            let low = unsafe source.loadUnaligned(fromByteOffset: word &* 32, as: SIMD8<UInt32>.self)
            let high = unsafe source.loadUnaligned(fromByteOffset: word &* 32 &+ 32, as: SIMD8<UInt32>.self)
            // Without a branch for values across two words, and without a shift by 32.
            let value = (low &>> shift) | ((high &<< 1) &<< (31 &- shift))
            unsafe out.storeBytes(of: value & mask, toByteOffset: row &* 32, as: SIMD8<UInt32>.self)
            row &+= 1
        }
    }
}

private typealias Unpacker = @Sendable (UnsafeRawPointer, UnsafeMutablePointer<UInt32>) -> Void

private let unpackers: [Unpacker] = unsafe [
    Unpack<0>.run, Unpack<1>.run, Unpack<2>.run, Unpack<3>.run, Unpack<4>.run, Unpack<5>.run, Unpack<6>.run, Unpack<7>.run,
    Unpack<8>.run, Unpack<9>.run, Unpack<10>.run, Unpack<11>.run, Unpack<12>.run, Unpack<13>.run, Unpack<14>.run,
    Unpack<15>.run, Unpack<16>.run, Unpack<17>.run, Unpack<18>.run, Unpack<19>.run, Unpack<20>.run, Unpack<21>.run,
    Unpack<22>.run, Unpack<23>.run, Unpack<24>.run, Unpack<25>.run, Unpack<26>.run, Unpack<27>.run, Unpack<28>.run,
    Unpack<29>.run, Unpack<30>.run, Unpack<31>.run, Unpack<32>.run,
]
