/// An error in bytes from a peer or a disk: its offset, and what is wrong.
@usableFromInline package struct ByteError: Error, Equatable, Sendable {
    package var offset: Int
    package var reason: String

    package init(offset: Int, reason: String) {
        self.offset = offset
        self.reason = reason
    }
}

/// Reads little-endian values from a range of bytes, never past its end. Every fault is a `ByteError`, never a trap. Parameters
/// named `what` are the value's name in errors.
@usableFromInline package struct ByteReader: Sendable {
    @usableFromInline package let bytes: [UInt8]
    @usableFromInline package private(set) var offset: Int
    /// The end of the range: `offset <= end <= bytes.count`.
    @usableFromInline package let end: Int

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

    @inlinable
    package var remaining: Int { end &- offset }

    /// The range of the next `count` bytes, which are skipped.
    @inlinable
    package mutating func take(_ count: Int, _ what: @autoclosure () -> String) throws(ByteError) -> Range<Int> {
        guard count >= 0, count <= remaining else { throw short(count, what()) }
        defer { offset &+= count }
        return offset..<(offset &+ count)
    }

    @inlinable
    package mutating func integer<T: FixedWidthInteger & BitwiseCopyable>(
        _ what: String, as type: T.Type = T.self
    ) throws(ByteError) -> T {
        let size = MemoryLayout<T>.size
        guard size <= remaining else { throw short(size, what) }
        defer { offset &+= size }
        return unsafe bytes.span.bytes.uncheckedInteger(offset)
    }

    /// An unsigned integer as LEB128, at most ten bytes.
    @inlinable
    package mutating func varint(_ what: String) throws(ByteError) -> UInt64 {
        guard remaining >= Varint.bytesMax else { return try shortVarint(what) }
        var at = offset
        guard let value = unsafe bytes.span.bytes.uncheckedVarint(&at) else { throw noVarint(what) }
        offset = at
        return value
    }

    /// Reads a varint byte by byte, near the end.
    @usableFromInline
    mutating func shortVarint(_ what: String) throws(ByteError) -> UInt64 {
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
        throw noVarint(what)
    }

    @inlinable
    package mutating func zigzag(_ what: String) throws(ByteError) -> Int64 { Varint.unzigzag(try varint(what)) }

    /// A varint that must not exceed `limit`; the error has the value and the limit.
    @inlinable
    package mutating func count(limit: Int, _ what: String) throws(ByteError) -> Int {
        let start = offset
        let value = try varint(what)
        guard value <= UInt64(limit) else { throw Self.over(value, limit, start, what) }
        return Int(truncatingIfNeeded: value)
    }

    /// A varint length of at most `limit`, and that many bytes.
    package mutating func string(limit: Int, _ what: String) throws(ByteError) -> ByteString {
        let length = try count(limit: limit, what)
        let range = try take(length, what)
        return ByteString(bytes[range])
    }

    /// Continues at an offset in `bytes`, after the caller has read up to there itself. Never moves back.
    package mutating func move(to offset: Int) { self.offset = min(max(offset, self.offset), end) }

    /// Throws unless all bytes were read.
    package mutating func finish(_ what: String) throws(ByteError) {
        guard remaining == 0 else {
            throw ByteError(offset: offset, reason: "\(what): \(remaining) bytes left over")
        }
    }
}

/// Errors, made outside of the inlined functions.
extension ByteReader {
    @usableFromInline @inline(never)
    func short(_ count: Int, _ what: String) -> ByteError {
        ByteError(offset: offset, reason: "\(what): \(count) bytes needed, \(remaining) left")
    }

    @usableFromInline @inline(never)
    func noVarint(_ what: String) -> ByteError { ByteError(offset: offset, reason: "\(what): not a varint") }

    @usableFromInline @inline(never)
    static func over(_ value: UInt64, _ limit: Int, _ start: Int, _ what: String) -> ByteError {
        ByteError(offset: start, reason: "\(what): \(value) is over the limit of \(limit)")
    }
}
