/// LEB128: seven bits a byte, lowest first; the top bit is set in all bytes but the last.
@usableFromInline package enum Varint {
    /// Max number of bytes of a varint.
    @inlinable package static var bytesMax: Int { 10 }

    /// The top bit of each byte of a word.
    @inlinable package static var marks: UInt64 { 0x8080_8080_8080_8080 }

    /// Maps a signed integer to an unsigned one, small magnitudes first: 0, -1, 1, -2, …
    @inlinable @inline(__always)
    package static func zigzag(_ value: Int64) -> UInt64 { UInt64(bitPattern: (value &<< 1) ^ (value &>> 63)) }

    @inlinable @inline(__always)
    package static func unzigzag(_ raw: UInt64) -> Int64 { Int64(bitPattern: (raw &>> 1) ^ (0 &- (raw & 1))) }

    /// Number of bytes of a value: 1 to 10.
    @inlinable @inline(__always)
    package static func length(_ value: UInt64) -> Int { (70 &- (value | 1).leadingZeroBitCount) / 7 }

    /// Packs eight groups of seven bits, with the marks cleared, into 56 bits.
    @inlinable @inline(__always)
    static func packed(_ groups: UInt64) -> UInt64 {
        var x = groups
        x = (x & 0x007F_007F_007F_007F) | ((x & 0x7F00_7F00_7F00_7F00) &>> 1)
        x = (x & 0x0000_3FFF_0000_3FFF) | ((x & 0x3FFF_0000_3FFF_0000) &>> 2)
        return (x & 0x0FFF_FFFF) | ((x & 0x0FFF_FFFF_0000_0000) &>> 4)
    }

    /// The inverse of `packed`; bits from the 57th on are dropped.
    @inlinable @inline(__always)
    static func spread(_ value: UInt64) -> UInt64 {
        var x = value
        x = (x & 0x0FFF_FFFF) | ((x & 0x00FF_FFFF_F000_0000) &<< 4)
        x = (x & 0x0000_3FFF_0000_3FFF) | ((x & 0x0FFF_C000_0FFF_C000) &<< 2)
        return (x & 0x007F_007F_007F_007F) | ((x & 0x3F80_3F80_3F80_3F80) &<< 1)
    }
}

extension RawSpan {
    /// A little-endian integer at any offset. The caller has checked that `offset + size of T <= byteCount`.
    @unsafe @inlinable @inline(__always)
    package func uncheckedInteger<T: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, as type: T.Type = T.self) -> T {
        unsafe T(littleEndian: unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: T.self))
    }

    /// The varint at `at`, which moves past it; nil, with `at` unchanged, if there is none. The caller has checked that
    /// `Varint.bytesMax` bytes follow `at`, even if the varint is shorter.
    @unsafe @inlinable @inline(__always)
    package func uncheckedVarint(_ at: inout Int) -> UInt64? {
        let word: UInt64 = unsafe uncheckedInteger(at)
        if word & 0x80 == 0 {
            at &+= 1
            return word & 0x7F
        }
        let ends = ~word & Varint.marks
        guard ends != 0 else { return unsafe longVarint(word, &at) }
        // All bits up to the mark of the last byte.
        let mask = ends ^ (ends &- 1)
        at &+= (ends.trailingZeroBitCount &>> 3) &+ 1
        return Varint.packed(word & mask & ~Varint.marks)
    }

    /// A varint of nine or ten bytes; `word` has the first eight.
    @unsafe @usableFromInline @inline(never)
    package func longVarint(_ word: UInt64, _ at: inout Int) -> UInt64? {
        let low = Varint.packed(word & ~Varint.marks)
        let ninth: UInt8 = unsafe uncheckedInteger(at &+ 8)
        if ninth < 0x80 {
            at &+= 9
            return low | UInt64(ninth) &<< 56
        }
        let tenth: UInt8 = unsafe uncheckedInteger(at &+ 9)
        guard tenth <= 1 else { return nil }
        at &+= 10
        return low | UInt64(ninth & 0x7F) &<< 56 | UInt64(tenth) &<< 63
    }
}

/// Writes into memory that a `ByteWriter` has reserved. Nothing is checked here: a loop checks `room` once for each item, and
/// no call writes more than `Varint.bytesMax` bytes.
@safe @usableFromInline package struct ByteSink: ~Copyable {
    @usableFromInline var at: UnsafeMutableRawPointer
    @usableFromInline let end: UnsafeMutableRawPointer

    @unsafe @inlinable
    package init(_ at: UnsafeMutableRawPointer, room: Int) {
        unsafe self.at = at
        unsafe end = at + room
    }

    /// Bytes left.
    @inlinable @inline(__always)
    package var room: Int { unsafe end - at }

    @unsafe @inlinable @inline(__always)
    package mutating func integer<T: FixedWidthInteger & BitwiseCopyable>(_ value: T) {
        unsafe at.storeBytes(of: value.littleEndian, as: T.self)
        unsafe at += MemoryLayout<T>.size
    }

    @unsafe @inlinable @inline(__always)
    package mutating func varint(_ value: UInt64) {
        if value < 0x80 {
            unsafe integer(UInt8(truncatingIfNeeded: value))
            return
        }
        guard value < 1 << 56 else {
            unsafe longVarint(value)
            return
        }
        let count = Varint.length(value)
        let marks = Varint.marks & ((1 &<< UInt64(truncatingIfNeeded: 8 &* (count &- 1))) &- 1)
        unsafe at.storeBytes(of: (Varint.spread(value) | marks).littleEndian, as: UInt64.self)
        unsafe at += count
    }

    @unsafe @usableFromInline @inline(never)
    mutating func longVarint(_ value: UInt64) {
        unsafe at.storeBytes(of: (Varint.spread(value) | Varint.marks).littleEndian, as: UInt64.self)
        unsafe at += 8
        var rest = value &>> 56
        while rest >= 0x80 {
            unsafe integer(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest &>>= 7
        }
        unsafe integer(UInt8(truncatingIfNeeded: rest))
    }
}
