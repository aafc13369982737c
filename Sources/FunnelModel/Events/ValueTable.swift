/// Property values in flat memory: a million of them take a few allocations, and comparing two reads no objects. All are
/// `canonical`.
package struct ValueTable: Equatable, Sendable {
    /// The `textBytes` of all values, one after the other.
    package private(set) var heap: [UInt8] = []
    /// By value: the end of its text in `heap`, which can be larger than 4 GiB for many shards together.
    private var ends: [Int] = []
    /// By value: `EventBatch.Tag`.
    private var tags: [UInt8] = []
    /// By value: the bits of a number or boolean, as in an `EventBatch`; 0 for a string.
    private var bits: [UInt64] = []

    package init() {}

    package init(_ values: some Sequence<PropertyValue>) {
        for value in values { append(value) }
    }

    package var count: Int { tags.count }
    package var indices: Range<Int> { tags.indices }

    package subscript(index: Int) -> PropertyValue {
        switch tags[index] {
        case EventBatch.Tag.integer: .integer(Int64(bitPattern: bits[index]))
        case EventBatch.Tag.double: .double(Double(bitPattern: bits[index]))
        case EventBatch.Tag.bool: .bool(bits[index] != 0)
        default: .string(ByteString(heap[range(index)]))
        }
    }

    /// The range in `heap` of a value's text.
    package func range(_ index: Int) -> Range<Int> { (index == 0 ? 0 : ends[index - 1])..<ends[index] }

    package func isString(_ index: Int) -> Bool { tags[index] == EventBatch.Tag.string }

    /// `PropertyValue.wireBytes` of a value.
    package func wireBytes(_ index: Int) -> Int { isString(index) ? range(index).count + 4 : PropertyValue.scalarWireBytes }

    package mutating func append(_ value: PropertyValue) {
        let value = value.canonical
        switch value {
        case .string(let text): return append(string: text.bytes.span)
        case .integer(let number): bits.append(UInt64(bitPattern: number))
        case .double(let number): bits.append(number.bitPattern)
        case .bool(let flag): bits.append(flag ? 1 : 0)
        }
        tags.append(value.tag)
        value.json.write(to: &heap)
        ends.append(heap.count)
    }

    package mutating func append(string: Span<UInt8>) {
        bits.append(0)
        tags.append(EventBatch.Tag.string)
        heap.append(string)
        ends.append(heap.count)
    }

    /// Appends a value of another table.
    package mutating func append(_ index: Int, of other: ValueTable) {
        heap.append(other.heap.span.extracting(other.range(index)))
        ends.append(heap.count)
        tags.append(other.tags[index])
        bits.append(other.bits[index])
    }

    package mutating func reserve(values: Int, bytes: Int) {
        heap.reserveCapacity(bytes)
        ends.reserveCapacity(values)
        tags.reserveCapacity(values)
        bits.reserveCapacity(values)
    }

    /// The values at `indices`, in that order.
    package func gather(_ indices: [Int]) -> ValueTable {
        var found = ValueTable()
        found.reserve(values: indices.count, bytes: indices.reduce(0) { $0 + range($1).count })
        for index in indices { found.append(index, of: self) }
        return found
    }
}

/// The order as text: by `textBytes`; a string comes after a number or boolean with the same text.
extension ValueTable {
    /// Compares a value with one of another table: negative, 0 or positive.
    package func compare(_ index: Int, with other: ValueTable, _ otherIndex: Int) -> Int {
        compare(index, with: other.heap.span.extracting(other.range(otherIndex)), isString: other.isString(otherIndex))
    }

    private func compare(_ index: Int, with text: Span<UInt8>, isString: Bool) -> Int {
        let own = heap.span.extracting(range(index))
        let order = unsafe compareBytes(own.bytes, text.bytes)
        return order != 0 ? order : (self.isString(index) ? 1 : 0) - (isString ? 1 : 0)
    }

    /// Whether each value comes after the one before, so that no two are equal. Takes time in proportion to the table.
    package func isAscending() -> Bool {
        var i = 1
        while i < count {
            if compare(i &- 1, with: self, i) >= 0 { return false }
            i &+= 1
        }
        return true
    }

    /// The index of a value in an ascending table; nil if it has none.
    package func index(of value: PropertyValue) -> Int? {
        let value = value.canonical
        let (text, isString) = (value.textBytes, value.tag == EventBatch.Tag.string)
        var range = 0..<count
        while !range.isEmpty {
            let middle = range.lowerBound + range.count / 2
            let order = compare(middle, with: text.span, isString: isString)
            if order == 0 { return middle }
            range = order < 0 ? middle + 1..<range.upperBound : range.lowerBound..<middle
        }
        return nil
    }

    /// The indexes of all values, ascending as text; of equal ones the first comes first.
    ///
    /// A radix sort with digits of eight bytes: each pass sorts by a word of the text, then the next those that agree in it. So
    /// comparisons are of two words in an array, and long common prefixes are read once.
    package func sorted() -> [Int] {
        var keys = (0..<count).map { SortKey(word: 0, index: UInt32(truncatingIfNeeded: $0), rank: 0) }
        var open = [(range: 0..<count, depth: 0)]
        while let (range, depth) = open.popLast() {
            for i in range { keys[i] = sortKey(keys[i].index, depth) }
            keys[range].sort(by: <)
            var start = range.lowerBound
            for i in range where i + 1 == range.upperBound || !keys[i + 1].isTied(with: keys[i]) {
                if i > start, keys[i].rank == SortKey.longer { open.append((start..<(i + 1), depth + 8)) }
                start = i + 1
            }
        }
        return keys.map { Int($0.index) }
    }

    private struct SortKey {
        /// Eight bytes of the text, the first highest; zeros after its end.
        var word: UInt64
        var index: UInt32
        /// `longer` if more bytes follow. Else twice the number of bytes in `word`, plus 1 for a string: of texts with the same
        /// word, the shorter one is a prefix of the other.
        var rank: UInt32

        static let longer: UInt32 = 18

        func isTied(with other: SortKey) -> Bool { word == other.word && rank == other.rank }

        static func < (a: SortKey, b: SortKey) -> Bool {
            if a.word != b.word { return a.word < b.word }
            return a.rank != b.rank ? a.rank < b.rank : a.index < b.index
        }
    }

    private func sortKey(_ index: UInt32, _ depth: Int) -> SortKey {
        let text = range(Int(index))
        let (start, left) = (text.lowerBound &+ depth, text.count &- depth)
        let bytes = heap.span
        if left > 8 { return SortKey(word: bytes.word(start).byteSwapped, index: index, rank: SortKey.longer) }
        var word: UInt64 = 0
        for i in 0..<left { word |= UInt64(bytes[start &+ i]) &<< UInt64(56 &- 8 &* i) }
        return SortKey(word: word, index: index, rank: UInt32(left) &* 2 &+ (isString(Int(index)) ? 1 : 0))
    }
}

extension PropertyValue {
    /// One form for values that are equal as numbers: a double that is a 64-bit integer becomes an integer.
    package var canonical: PropertyValue {
        guard case .double(let value) = self, let whole = Int64(exactly: value) else { return self }
        return .integer(whole)
    }

    /// The bytes that order groups of one size: a string's own, or those of the JSON text of a number or boolean.
    package var textBytes: [UInt8] {
        if case .string(let text) = self { return text.bytes }
        return json.encode()
    }

    /// Its number in `EventBatch.Tag`.
    package var tag: UInt8 {
        switch self {
        case .string: EventBatch.Tag.string
        case .integer: EventBatch.Tag.integer
        case .double: EventBatch.Tag.double
        case .bool: EventBatch.Tag.bool
        }
    }
}

extension Sequence<PropertyValue> {
    /// Ascending by `textBytes`; a string comes after a number or boolean with the same text.
    package func sortedAsText() -> [PropertyValue] {
        let values = Array(self)
        return ValueTable(values).sorted().map { values[$0] }
    }
}

extension [UInt64] {
    /// The `n`-th largest element, or the smallest if there are fewer; nil if there are none.
    package func nthLargest(_ n: Int) -> UInt64? {
        var sorted = self
        RadixSort.sort(&sorted)
        return isEmpty || n < 1 ? nil : sorted[Swift.max(0, count - n)]
    }

    /// The indexes of the `n` largest elements, descending; of equal ones the first.
    package func leading(_ n: Int) -> [Int] {
        guard let least = nthLargest(n) else { return [] }
        var ties = n - count { $0 > least }
        let chosen = indices.filter { i in
            if self[i] != least { return self[i] > least }
            ties -= 1
            return ties >= 0
        }
        return chosen.sorted { self[$0] != self[$1] ? self[$0] > self[$1] : $0 < $1 }
    }
}
