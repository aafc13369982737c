/// Many byte strings in one heap: string `i` is `heap[offsets[i]..<offsets[i + 1]]`.
package struct StringTable: Equatable, Sendable {
    package private(set) var heap: [UInt8] = []
    package private(set) var offsets: [UInt32] = [0]

    package init() {}

    package init(_ strings: some Sequence<ByteString>) {
        for string in strings { append(string) }
    }

    /// Takes columns read from a file or a peer; nil where the offsets don't ascend from 0 to the heap's end.
    package init?(heap: [UInt8], offsets: [UInt32]) {
        guard offsets.first == 0, offsets.last.map(Int.init) == heap.count else { return nil }
        var previous: UInt32 = 0
        for offset in offsets {
            if offset < previous { return nil }
            previous = offset
        }
        self.heap = heap
        self.offsets = offsets
    }

    package var count: Int { offsets.count - 1 }

    package func range(_ index: Int) -> Range<Int> { Int(offsets[index])..<Int(offsets[index + 1]) }

    package func slice(_ index: Int) -> ArraySlice<UInt8> { heap[range(index)] }

    package subscript(index: Int) -> ByteString { ByteString(slice(index)) }

    package func isEmpty(_ index: Int) -> Bool { offsets[index] == offsets[index + 1] }

    package mutating func append(_ string: ByteString) { append(string.bytes[...]) }

    package mutating func append(_ string: ArraySlice<UInt8>) {
        heap.append(contentsOf: string)
        offsets.append(UInt32(truncatingIfNeeded: heap.count))
    }

    package mutating func append(_ string: Span<UInt8>) {
        if !string.isEmpty { unsafe string.withUnsafeBufferPointer { unsafe heap.append(contentsOf: $0) } }
        offsets.append(UInt32(truncatingIfNeeded: heap.count))
    }

    /// True if string `index` is `string`, byte by byte.
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

package func compareBytes(_ a: ArraySlice<UInt8>, _ b: ArraySlice<UInt8>) -> Int {
    let shared = min(a.count, b.count)
    var i = a.startIndex
    var j = b.startIndex
    let end = i + shared
    while i < end {
        let difference = Int(a[i]) - Int(b[j])
        if difference != 0 { return difference }
        i += 1
        j += 1
    }
    return a.count - b.count
}
