import FunnelModel

/// Keys with a mark in their lowest bit, `key << 1 | mark`, so that a flag of a row stays with its key in a merge.
extension KeyList {
    /// Marks the keys.
    /// - Parameter flags: 0 or 1 for each key.
    mutating func mark(_ flags: [UInt8]) {
        unsafe rewrite { keys, count in
            let flags = flags.span.extracting(0..<count)
            var i = 0
            while i < count {
                unsafe keys[i] = unsafe (keys[i] &<< 1 | UInt64(flags[i])) & KeyLayout.mask
                i &+= 1
            }
            if unsafe Self.hasDisputes(keys, count) { unsafe Self.orderMarks(keys, count) }
            return count
        }
    }

    /// Whether some neighbours differ only by the mark.
    private static func hasDisputes(_ keys: UnsafePointer<UInt64>, _ count: Int) -> Bool {
        var disputes = 0
        var i = 1
        // The loop has no early exit, so that several keys are compared at once.
        while i < count {
            disputes &+= unsafe keys[i] ^ keys[i &- 1] == 1 ? 1 : 0
            i &+= 1
        }
        return disputes > 0
    }

    /// Puts the unmarked ones of equal keys first, so that marked keys ascend too.
    private static func orderMarks(_ keys: UnsafeMutablePointer<UInt64>, _ count: Int) {
        var start = 0
        while start < count {
            let key = unsafe keys[start] & ~1
            var end = start
            var marks = 0
            while end < count, unsafe keys[end] & ~1 == key {
                marks += unsafe Int(keys[end] & 1)
                end += 1
            }
            for i in start..<end { unsafe keys[i] = key | (i < end - marks ? 0 : 1) }
            start = end
        }
    }

    /// Keeps only the marked keys, without their marks.
    /// - Returns: keys that are there with and without a mark, ascending; none of them is kept.
    mutating func keepMarked() -> [UInt64] {
        var disputed: [UInt64] = []
        unsafe rewrite { keys, count in
            var kept = 0
            var i = 0
            if unsafe !Self.hasDisputes(keys, count) {
                while i < count {
                    let key = unsafe keys[i]
                    unsafe keys[kept] = key &>> 1
                    kept &+= Int(key & 1)
                    i &+= 1
                }
                return kept
            }
            while i < count {
                let key = unsafe keys[i]
                var end = i + 1
                while end < count, unsafe keys[end] &>> 1 == key &>> 1 { end += 1 }
                if unsafe keys[end - 1] != key {
                    disputed.append(key &>> 1)
                } else if key & 1 == 1 {
                    for _ in i..<end {
                        unsafe keys[kept] = key &>> 1
                        kept += 1
                    }
                }
                i = end
            }
            return kept
        }
        return disputed
    }
}
