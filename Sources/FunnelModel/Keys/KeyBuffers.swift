/// Sorted lists to merge, and a pool of lists to reuse.
package struct KeyBuffers: Sendable {
    private var free: [KeyList] = []
    private var waiting: [KeyList] = []

    package init() {}

    /// Drops the lists to merge; keeps their memory.
    package mutating func clear() {
        free += waiting
        waiting = []
    }

    /// A list to fill, of undefined contents.
    package mutating func take() -> KeyList { free.popLast() ?? KeyList() }

    /// Adds a sorted list to merge.
    package mutating func add(_ list: KeyList) {
        if list.isEmpty { free.append(list) } else { waiting.append(list) }
    }

    /// Merges all added lists into `list`: two at a time, the shortest first. Then there are none.
    package mutating func merge(into list: inout KeyList) {
        if waiting.isEmpty { return list.removeAll(keepingCapacity: true) }
        reduceToTwo()
        if waiting.count == 2 {
            Self.merge(waiting[0], waiting[1], into: &list)
        } else {
            swap(&list, &waiting[0])
        }
        clear()
    }

    /// Merges until two lists are left. Merged lists get longer each time, so the shortest list is always at the end of
    /// `waiting` or the front of `merged`, and no further sorting is needed: there may be a list for each of ten thousand
    /// names.
    private mutating func reduceToTwo() {
        guard waiting.count > 2 else { return }
        waiting.sort { $0.count > $1.count }
        var merged: [KeyList] = []
        var front = 0
        let none = KeyList()
        func shortest() -> KeyList {
            if let last = waiting.last, front == merged.count || last.count <= merged[front].count { return waiting.removeLast() }
            // Moved out, so that the list can be filled again without a copy.
            var list = none
            swap(&list, &merged[front])
            front += 1
            return list
        }
        for _ in 2..<waiting.count {
            let (a, b) = (shortest(), shortest())
            var out = take()
            Self.merge(a, b, into: &out)
            free.append(a)
            free.append(b)
            merged.append(out)
        }
        waiting += merged[front...]
    }

    /// Merges two lists from both ends at once, so that the processor always has two independent steps to execute. There is no
    /// branch on the keys, since which list has the next key cannot be predicted. At the end of a list its sentinel is never
    /// chosen: the one after it is above every key, and the one before it, as a signed number, below.
    static func merge(_ a: KeyList, _ b: KeyList, into out: inout KeyList) {
        let total = a.count + b.count
        if a.isFew(among: b) { return insert(a, into: b, &out) }
        if b.isFew(among: a) { return insert(b, into: a, &out) }
        unsafe out.fill(capacity: total) { target in
            unsafe a.withKeys { x in
                unsafe b.withKeys { y in
                    var i = 0
                    var j = 0
                    var o = 0
                    var k = a.count - 1
                    var l = b.count - 1
                    let half = total / 2
                    while o < half {
                        let (p, q) = unsafe (x[i], y[j])
                        let takesFirst = p <= q
                        unsafe target[o] = takesFirst ? p : q
                        i &+= takesFirst ? 1 : 0
                        j &+= takesFirst ? 0 : 1
                        let (r, s) = unsafe (x[k], y[l])
                        // Of equal keys, those of `b` come last.
                        let takesLast = Int64(bitPattern: s) >= Int64(bitPattern: r)
                        unsafe target[total &- 1 &- o] = takesLast ? s : r
                        l &-= takesLast ? 1 : 0
                        k &-= takesLast ? 0 : 1
                        o &+= 1
                    }
                    if total & 1 == 1 { unsafe target[half] = min(x[i], y[j]) }
                }
            }
            return total
        }
    }

    /// Merges a short list into a long one, by copying ranges. A small segment file or memtable next to a large segment file is
    /// the usual case.
    private static func insert(_ few: KeyList, into many: KeyList, _ out: inout KeyList) {
        let total = few.count + many.count
        unsafe out.fill(capacity: total) { target in
            unsafe few.withKeys { x in
                unsafe many.withKeys { y in
                    few.interleave(with: many, afterEqual: false) { n, range in
                        unsafe (target + (range.lowerBound &+ n)).update(from: y + range.lowerBound, count: range.count)
                        if n < few.count { unsafe target[range.upperBound &+ n] = unsafe x[n] }
                    }
                }
            }
            return total
        }
    }
}
