/// Appends little-endian values to a growing array.
@usableFromInline package struct ByteWriter: Sendable {
    @usableFromInline package private(set) var bytes: [UInt8] = []

    package init(reserving capacity: Int = 0) { bytes.reserveCapacity(capacity) }

    package var count: Int { bytes.count }

    @inlinable
    package mutating func integer<T: FixedWidthInteger & BitwiseCopyable>(_ value: T) {
        if T.bitWidth == 8 {
            bytes.append(UInt8(truncatingIfNeeded: value))
        } else {
            append(atMost: MemoryLayout<T>.size) { unsafe $0.integer(value) }
        }
    }

    @inlinable
    package mutating func varint(_ value: UInt64) {
        if value < 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: value))
        } else {
            append(atMost: Varint.bytesMax) { unsafe $0.varint(value) }
        }
    }

    @inlinable
    package mutating func zigzag(_ value: Int64) { varint(Varint.zigzag(value)) }

    package mutating func string(_ value: ByteString) {
        varint(UInt64(value.count))
        bytes.append(contentsOf: value.bytes)
    }

    package mutating func string(_ value: Span<UInt8>) {
        varint(UInt64(value.count))
        bytes.append(value)
    }

    @inlinable
    package mutating func append(_ more: some Sequence<UInt8>) { bytes.append(contentsOf: more) }

    package mutating func append(_ more: [UInt8]) { bytes.append(contentsOf: more) }

    /// Appends the bytes that `write` writes, at most `capacity`, to reserved memory.
    @inlinable @inline(__always)
    package mutating func append(atMost capacity: Int, _ write: (inout ByteSink) -> Void) {
        bytes.append(addingCapacity: capacity) { span in
            unsafe span.withUnsafeMutableBufferPointer { buffer, count in
                guard let base = buffer.baseAddress else { return }
                var sink = unsafe ByteSink(UnsafeMutableRawPointer(base), room: capacity)
                write(&sink)
                count = capacity &- sink.room
            }
        }
    }

    /// Appends `value(0)`, `value(1)`, … as varints. Memory is reserved for many at once, so that each costs a few
    /// instructions.
    @inlinable @inline(__always)
    package mutating func varints(count: Int, _ value: (Int) -> UInt64) {
        var i = 0
        while i < count {
            append(atMost: min(count &- i, Self.chunk) &* 2 &+ Varint.bytesMax) { sink in
                while i < count, sink.room >= Varint.bytesMax {
                    unsafe sink.varint(value(i))
                    i &+= 1
                }
            }
        }
    }

    /// Number of items that memory is reserved for at once.
    @inlinable static var chunk: Int { 1 << 12 }

    /// Removes all bytes and keeps the memory.
    package mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }

    /// Overwrites an integer written earlier, for lengths that are only known later.
    package mutating func patch(_ value: UInt32, at offset: Int) {
        for i in 0..<4 { bytes[offset + i] = UInt8(truncatingIfNeeded: value >> (8 * UInt32(i))) }
    }
}
