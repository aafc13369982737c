/// One step's events in a slice of users, as ascending 64-bit keys, between sentinels that let a kernel read in blocks
/// of eight and look one key back without bounds checks. Reused from slice to slice.
///
/// Layout of the storage: one sentinel `1 << 63`, `count` keys below `1 << 63`, at least eight sentinels `UInt64.max >> 1`. The
/// front sentinel is so far from any key that no window reaches it; the back sentinels are later than any key.
package struct KeyList: Sendable {
    package static let frontSentinel: UInt64 = 1 << 63
    package static let backSentinel: UInt64 = .max >> 1
    package static let backSentinels = 8
    /// Keys that a decoder may write beyond the capacity it asked for, so that it can store whole vectors.
    package static let spare = 16

    @usableFromInline package private(set) var storage: [UInt64]
    package private(set) var count = 0

    package init() {
        storage = [Self.frontSentinel] + Array(repeating: Self.backSentinel, count: Self.spare)
    }

    package init(_ keys: some Sequence<UInt64>) {
        self.init()
        let list = Array(keys)
        unsafe fill(capacity: list.count) { target in
            for (i, key) in list.enumerated() { unsafe target[i] = key }
            return list.count
        }
    }

    package var isEmpty: Bool { count == 0 }

    package mutating func removeAll(keepingCapacity: Bool = false) {
        if keepingCapacity { close(at: 0) } else { self = KeyList() }
    }

    /// Replaces the keys.
    ///
    /// - Parameters:
    ///   - capacity: max number of keys that `body` returns.
    ///   - body: writes keys from the pointer on, at most `spare` more than `capacity`, and returns how many of them
    ///     count. If it throws, the list is left empty.
    package mutating func fill<Failure: Error>(
        capacity: Int, _ body: (UnsafeMutablePointer<UInt64>) throws(Failure) -> Int
    ) throws(Failure) {
        let needed = 1 + max(0, capacity) + Self.spare
        if storage.count < needed {
            // Half as much again, so that slices of slowly increasing size do not each allocate.
            let grown = max(needed, storage.count + storage.count / 2)
            storage.append(contentsOf: repeatElement(Self.backSentinel, count: grown - storage.count))
        }
        close(at: 0)
        let written = try unsafe storage.withUnsafeMutableBufferPointer { buffer throws(Failure) in
            guard let base = buffer.baseAddress else { return 0 }
            return try unsafe body(base + 1)
        }
        close(at: min(max(0, written), max(0, capacity)))
    }

    /// Changes the keys in place: `body` gets the address of the first key and the number of keys, and returns the new number,
    /// which must not be larger.
    package mutating func rewrite(_ body: (UnsafeMutablePointer<UInt64>, Int) -> Int) {
        let before = count
        let kept = unsafe storage.withUnsafeMutableBufferPointer { buffer in
            unsafe buffer.baseAddress.map { unsafe body($0 + 1, before) } ?? 0
        }
        close(at: min(max(0, kept), before))
    }

    private mutating func close(at end: Int) {
        count = end
        for i in 1...Self.backSentinels { storage[end + i] = Self.backSentinel }
    }

    /// The i-th key, 0-based.
    @inlinable package subscript(i: Int) -> UInt64 { storage[i + 1] }

    /// The keys without their sentinels.
    package var span: Span<UInt64> {
        @_lifetime(borrow self)
        get { storage.span.extracting(1..<(count + 1)) }
    }

    /// Calls `body` with the address of the first key; memory is readable from one key before it to eight after the last.
    package func withKeys<Result, Failure: Error>(
        _ body: (UnsafePointer<UInt64>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try unsafe storage.withUnsafeBufferPointer { buffer throws(Failure) in
            // Never empty: the sentinels are always there.
            try unsafe body(buffer.baseAddress.unsafelyUnwrapped + 1)
        }
    }

    /// Whether the list is so short, compared with `many`, that searching for each of its keys is faster than a merge.
    package func isFew(among many: KeyList) -> Bool { count < many.count / 16 }

    /// For each key, and for the end, finds the range of a longer list between the key before and it.
    /// - Parameters:
    ///   - afterEqual: whether keys come after equal keys of the longer list; else before them.
    ///   - body: called with the index of the key, `count` for the end, and the range of the longer list.
    package func interleave(with many: KeyList, afterEqual: Bool, _ body: (Int, Range<Int>) -> Void) {
        let total = many.count
        var from = 0
        unsafe withKeys { x in
            unsafe many.withKeys { y in
                for n in 0..<count {
                    // Finds the first key that comes after: by steps that double, then binary search. No key is `UInt64.max`.
                    let bound = unsafe afterEqual ? x[n] &+ 1 : x[n]
                    var step = 1
                    var low = from
                    while low &+ step <= total, unsafe y[low &+ step &- 1] < bound {
                        low &+= step
                        step &+= step
                    }
                    low = (low..<min(total, low &+ step &- 1)).partitioningIndex { unsafe y[$0] >= bound }
                    body(n, from..<low)
                    from = low
                }
            }
        }
        body(count, from..<total)
    }
}
