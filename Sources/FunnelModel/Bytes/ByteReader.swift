/// A fault in bytes that came from a peer or a disk: where, and what was wrong.
package struct ByteError: Error, Equatable, Sendable {
    package var offset: Int
    package var reason: String

    package init(offset: Int, reason: String) {
        self.offset = offset
        self.reason = reason
    }
}

/// Reads little-endian values from a byte range and never past it; every fault is a `ByteError`, never a trap.
package struct ByteReader: Sendable {
    package let bytes: [UInt8]
    package private(set) var offset: Int
    private let end: Int

    package init(_ bytes: [UInt8]) {
        self.bytes = bytes
        self.offset = 0
        self.end = bytes.count
    }

    /// A reader of `bytes[range]`; the range is cut to the array.
    package init(_ bytes: [UInt8], range: Range<Int>) {
        self.bytes = bytes
        let whole = range.clamped(to: 0..<bytes.count)
        self.offset = whole.lowerBound
        self.end = whole.upperBound
    }

    package var remaining: Int { end - offset }

    package mutating func take(_ count: Int, _ what: @autoclosure () -> String) throws(ByteError) -> Range<Int> {
        guard count >= 0, count <= remaining else {
            throw ByteError(offset: offset, reason: "\(what()): \(count) bytes needed, \(remaining) left")
        }
        defer { offset += count }
        return offset..<(offset + count)
    }

    package mutating func integer<T: FixedWidthInteger>(_ what: String, as type: T.Type = T.self) throws(ByteError) -> T {
        let range = try take(T.bitWidth / 8, what)
        var value: T = 0
        var i = range.upperBound
        while i > range.lowerBound {
            i -= 1
            value = (value << 8) | T(truncatingIfNeeded: bytes[i])
        }
        return value
    }

    /// LEB128, at most ten bytes.
    package mutating func varint(_ what: String) throws(ByteError) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        var at = offset
        while at < end {
            let byte = bytes[at]
            at += 1
            if shift == 63 && byte > 1 { break }
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 {
                offset = at
                return value
            }
            shift += 7
        }
        throw ByteError(offset: offset, reason: "\(what): not a varint")
    }

    package mutating func zigzag(_ what: String) throws(ByteError) -> Int64 {
        let raw = try varint(what)
        return Int64(bitPattern: (raw >> 1) ^ (0 &- (raw & 1)))
    }

    /// A varint that must not exceed `limit`; the error names both.
    package mutating func count(limit: Int, _ what: String) throws(ByteError) -> Int {
        let start = offset
        let value = try varint(what)
        guard value <= UInt64(limit) else {
            throw ByteError(offset: start, reason: "\(what): \(value) is over the limit of \(limit)")
        }
        return Int(value)
    }

    /// A varint length and that many bytes.
    package mutating func string(limit: Int, _ what: String) throws(ByteError) -> ByteString {
        let length = try count(limit: limit, what)
        let range = try take(length, what)
        return ByteString(bytes[range])
    }

    package mutating func finish(_ what: String) throws(ByteError) {
        guard remaining == 0 else {
            throw ByteError(offset: offset, reason: "\(what): \(remaining) bytes left over")
        }
    }
}

/// Appends little-endian values to a growing array.
package struct ByteWriter: Sendable {
    package private(set) var bytes: [UInt8] = []

    package init(reserving capacity: Int = 0) { bytes.reserveCapacity(capacity) }

    package var count: Int { bytes.count }

    package mutating func integer<T: FixedWidthInteger>(_ value: T) {
        var rest = value
        for _ in 0..<(T.bitWidth / 8) {
            bytes.append(UInt8(truncatingIfNeeded: rest))
            rest = T.bitWidth > 8 ? rest >> 8 : 0
        }
    }

    package mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }

    package mutating func zigzag(_ value: Int64) {
        varint(UInt64(bitPattern: (value << 1) ^ (value >> 63)))
    }

    package mutating func string(_ value: ByteString) {
        varint(UInt64(value.count))
        bytes.append(contentsOf: value.bytes)
    }

    package mutating func append(_ more: some Sequence<UInt8>) { bytes.append(contentsOf: more) }

    /// Overwrites a value written earlier, for lengths known only afterwards.
    package mutating func patch(_ value: UInt32, at offset: Int) {
        for i in 0..<4 { bytes[offset + i] = UInt8(truncatingIfNeeded: value >> (8 * UInt32(i))) }
    }
}
