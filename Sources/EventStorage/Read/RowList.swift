import FunnelModel

/// A reference to a row of a view: the number of the source (segment files first, then runs of the memtable), and the row's number there.
package struct RowRef: Equatable, Sendable {
    package let bits: UInt64

    init(source: Int, row: Int) { bits = UInt64(source) << 32 | UInt64(row) }
    @inlinable package init(bits: UInt64) { self.bits = bits }

    var source: Int { Int(bits >> 32) }
    var row: Int { Int(bits & 0xFFFF_FFFF) }
}

/// Rows of a slice in ascending order of their keys, each with its reference.
package struct RowList: Sendable {
    package private(set) var keys = KeyList()
    /// `RowRef.bits`, by row.
    package private(set) var refs = KeyList()

    package init() {}

    /// A list of rows.
    /// - Parameters:
    ///   - keys: ascending.
    ///   - refs: `RowRef.bits` of each row.
    package init(keys: KeyList, refs: KeyList) {
        self.keys = keys
        self.refs = refs
    }

    package var count: Int { keys.count }

    package func ref(_ i: Int) -> RowRef { RowRef(bits: refs[i]) }

    /// Whether some neighbours have the same key.
    var hasTies: Bool {
        unsafe keys.withKeys { keys in
            var ties = 0
            var i = 1
            // The loop has no early exit, so that several keys are compared at once.
            while i < count {
                ties &+= unsafe keys[i] == keys[i &- 1] ? 1 : 0
                i &+= 1
            }
            return ties > 0
        }
    }

    /// Calls `body` with the addresses of the first key and of the first `RowRef.bits`.
    package func withRows<T>(_ body: (UnsafePointer<UInt64>, UnsafePointer<UInt64>) throws -> T) rethrows -> T {
        try unsafe keys.withKeys { keys in try unsafe refs.withKeys { refs in try unsafe body(keys, refs) } }
    }

    /// Ranges of rows with the same key, each of two rows or more.
    var ties: [Range<Int>] {
        unsafe keys.withKeys { keys in
            var ties: [Range<Int>] = []
            var start = 0
            var i = 1
            while i <= count {
                // The sentinel after the last key is not equal to any key.
                if unsafe keys[i] != keys[start] {
                    if i - start > 1 { ties.append(start..<i) }
                    start = i
                }
                i &+= 1
            }
            return ties
        }
    }

    /// Replaces the rows; see `KeyList.fill`.
    mutating func fill<Failure: Error>(
        capacity: Int, _ body: (UnsafeMutablePointer<UInt64>, UnsafeMutablePointer<UInt64>) throws(Failure) -> Int
    ) throws(Failure) {
        try unsafe refs.fill(capacity: capacity) { rows throws(Failure) in
            try unsafe keys.fill(capacity: capacity) { keys throws(Failure) in try unsafe body(keys, rows) }
            return keys.count
        }
    }

    /// Merges lists, two at a time, the shortest first, so that rows are moved as seldom as possible. Equal keys are in no order.
    package static func merging(_ lists: [RowList]) -> RowList {
        var lists = lists.sorted { $0.count > $1.count }
        while lists.count > 1 {
            let (a, b) = (lists.removeLast(), lists.removeLast())
            let both = merging(a, b)
            lists.insert(both, at: lists.firstIndex { $0.count <= both.count } ?? lists.count)
        }
        return lists.first ?? RowList()
    }

    /// Merges lists. Of equal keys, those of an earlier list come first.
    package static func mergingInOrder(_ lists: [RowList]) -> RowList {
        var lists = lists
        while lists.count > 1 {
            lists = stride(from: 0, to: lists.count, by: 2).map { i in
                i + 1 < lists.count ? merging(lists[i], lists[i + 1]) : lists[i]
            }
        }
        return lists.first ?? RowList()
    }

    /// Merges two lists without a branch on the keys; see `KeyBuffers.merge`. Of equal keys, those of `a` come first.
    package static func merging(_ a: RowList, _ b: RowList) -> RowList {
        if a.keys.isFew(among: b.keys) { return inserting(a, into: b, afterEqual: false) }
        if b.keys.isFew(among: a.keys) { return inserting(b, into: a, afterEqual: true) }
        var out = RowList()
        let total = a.count + b.count
        unsafe out.fill(capacity: total) { keys, refs in
            unsafe a.keys.withKeys { x in
                unsafe b.keys.withKeys { y in
                    unsafe a.refs.withKeys { p in
                        unsafe b.refs.withKeys { q in
                            var i = 0
                            var j = 0
                            var o = 0
                            while o < total {
                                let takesFirst = unsafe x[i] <= y[j]
                                unsafe keys[o] = unsafe takesFirst ? x[i] : y[j]
                                unsafe refs[o] = unsafe takesFirst ? p[i] : q[j]
                                i &+= takesFirst ? 1 : 0
                                j &+= takesFirst ? 0 : 1
                                o &+= 1
                            }
                        }
                    }
                }
            }
            return total
        }
        return out
    }

    private static func inserting(_ few: RowList, into many: RowList, afterEqual: Bool) -> RowList {
        var out = RowList()
        let total = few.count + many.count
        unsafe out.fill(capacity: total) { keys, refs in
            unsafe few.keys.withKeys { x in
                unsafe many.keys.withKeys { y in
                    unsafe few.refs.withKeys { p in
                        unsafe many.refs.withKeys { q in
                            few.keys.interleave(with: many.keys, afterEqual: afterEqual) { n, range in
                                let target = range.lowerBound &+ n
                                unsafe (keys + target).update(from: y + range.lowerBound, count: range.count)
                                unsafe (refs + target).update(from: q + range.lowerBound, count: range.count)
                                if n == few.count { return }
                                unsafe keys[range.upperBound &+ n] = unsafe x[n]
                                unsafe refs[range.upperBound &+ n] = unsafe p[n]
                            }
                        }
                    }
                }
            }
            return total
        }
        return out
    }

    /// Keeps only the rows for which `isKept`, called with key and reference, is true.
    package mutating func keepRows(_ isKept: (UInt64, RowRef) throws -> Bool) rethrows {
        var flags = [UInt8](repeating: 0, count: count)
        for i in flags.indices where try isKept(keys[i], ref(i)) { flags[i] = 1 }
        keep(flags)
    }

    /// Keeps only the rows of some keys, which ascend.
    mutating func keep(among wanted: [UInt64]) {
        var next = 0
        keepRows { key, _ in
            while next < wanted.count, wanted[next] < key { next += 1 }
            return next < wanted.count && wanted[next] == key
        }
    }

    /// Keeps only the rows whose tick, the lowest `timeBits` bits of the key, is in a range.
    package mutating func keep(ticks: Range<UInt64>, timeBits: Int) {
        let mask: UInt64 = 1 << UInt64(timeBits) - 1
        let width = ticks.upperBound &- ticks.lowerBound
        keep(flag: { key in (key & mask) &- ticks.lowerBound < width ? 1 : 0 })
    }

    /// Keeps only the rows of users whose flag is 1.
    /// - Parameter flags: 0 or 1, by place in the slice.
    package mutating func keep(users flags: [UInt8], timeBits: Int) {
        guard let last = flags.indices.last else { return }
        let flags = flags.span
        keep(flag: { key in Int(flags[min(Int(truncatingIfNeeded: key &>> UInt64(timeBits)), last)]) })
    }

    /// Keeps only the rows for whose key `flag` is 1; it is 0 for the others. There is no branch on it.
    @inline(__always)
    private mutating func keep(flag: (UInt64) -> Int) {
        unsafe refs.rewrite { refs, _ in
            unsafe keys.rewrite { keys, count in
                var kept = 0
                var i = 0
                while i < count {
                    let key = unsafe keys[i]
                    unsafe keys[kept] = key
                    unsafe refs[kept] = refs[i]
                    kept &+= flag(key)
                    i &+= 1
                }
                return kept
            }
            return keys.count
        }
    }

    /// Keeps only the rows whose flag is 1.
    package mutating func keep(_ flags: [UInt8]) {
        Self.compact(&keys, flags)
        Self.compact(&refs, flags)
    }

    private static func compact(_ list: inout KeyList, _ flags: [UInt8]) {
        unsafe list.rewrite { values, count in
            var kept = 0
            var i = 0
            while i < count {
                unsafe values[kept] = unsafe values[i]
                kept &+= Int(flags[i])
                i &+= 1
            }
            return kept
        }
    }

    mutating func replace(_ i: Int, by ref: RowRef) {
        unsafe refs.rewrite { values, count in
            if i < count { unsafe values[i] = ref.bits }
            return count
        }
    }
}
