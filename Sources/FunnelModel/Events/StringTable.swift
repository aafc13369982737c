/// Many byte strings in one heap: string `i` is `heap[offsets[i]..<offsets[i + 1]]`.
package struct StringTable: Equatable, Sendable {
    package private(set) var heap: [UInt8] = []
    package private(set) var offsets: [UInt32] = [0]

    package init() {}

    package init(_ strings: some Sequence<ByteString>) {
        for string in strings { append(string) }
    }

    /// A table from columns that were read from a file or a peer; nil unless the offsets ascend from 0 to the end of the heap.
    package init?(heap: [UInt8], offsets: [UInt32]) {
        guard offsets.first == 0, offsets.last.map(Int.init) == heap.count, Self.ascend(offsets) else { return nil }
        self.heap = heap
        self.offsets = offsets
    }

    private static func ascend(_ offsets: [UInt32]) -> Bool {
        let span = offsets.span
        let last = span.count &- 1
        var descents: UInt32 = 0
        var i = 0
        // No early exit, so that the loop is vectorized.
        while i < last {
            descents |= span[i] > span[i &+ 1] ? 1 : 0
            i &+= 1
        }
        return descents == 0
    }

    package var count: Int { offsets.count - 1 }

    package func range(_ index: Int) -> Range<Int> { Int(offsets[index])..<Int(offsets[index + 1]) }

    package func slice(_ index: Int) -> ArraySlice<UInt8> { heap[range(index)] }

    package subscript(index: Int) -> ByteString { ByteString(slice(index)) }

    package func isEmpty(_ index: Int) -> Bool { offsets[index] == offsets[index + 1] }

    /// Whether a string of `bytes` bytes can be appended: offsets have 32 bits.
    package func hasRoom(for bytes: Int) -> Bool { heap.count + bytes <= Int(UInt32.max) }

    /// Appends a string. The table must have room; callers without another bound on the total check `hasRoom` first.
    package mutating func append(_ string: ByteString) { append(string.bytes[...]) }

    package mutating func append(_ string: ArraySlice<UInt8>) {
        heap.append(contentsOf: string)
        offsets.append(UInt32(truncatingIfNeeded: heap.count))
    }

    package mutating func append(_ string: Span<UInt8>) {
        if !string.isEmpty { unsafe string.withUnsafeBufferPointer { unsafe heap.append(contentsOf: $0) } }
        offsets.append(UInt32(truncatingIfNeeded: heap.count))
    }

    /// Whether string `index` has the same bytes as `string`.
    package func equals(_ index: Int, _ string: Span<UInt8>) -> Bool {
        let start = Int(offsets[index])
        guard Int(offsets[index + 1]) - start == string.count else { return false }
        return heap.span.extracting(start..<(start + string.count)).equals(string)
    }

    /// Byte order of two strings: negative, 0 or positive.
    package func compare(_ index: Int, with other: StringTable, _ otherIndex: Int) -> Int {
        compareBytes(slice(index), other.slice(otherIndex))
    }
}
