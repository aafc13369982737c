extension EventBatch {
    /// The given rows as a batch of their own, with dictionaries of only the strings that they use. Columns that were not read
    /// stay empty.
    package func gather(_ rows: [Int]) -> EventBatch {
        var out = EventBatch()
        (out.user, out.users) = Self.recoded(user, users, rows)
        (out.name, out.names) = Self.recoded(name, names, rows)
        out.time = Self.picked(time, rows)
        out.flags = Self.picked(flags, rows)
        if ids.count > 0 { out.ids = ids.gather(rows) }
        if propertyStart.count > count { gatherProperties(rows, &out) }
        return out
    }

    private static func picked<T: BitwiseCopyable>(_ column: [T], _ rows: [Int]) -> [T] {
        let (column, rows) = (column.span, rows.span)
        return [T](capacity: rows.count) { out in
            var i = 0
            while i < rows.count {
                out.append(column[rows[i]])
                i &+= 1
            }
        }
    }

    private static func recoded(_ column: [UInt32], _ table: StringTable, _ rows: [Int]) -> ([UInt32], StringTable) {
        var map = CodeMap(table.count)
        let (column, rows) = (column.span, rows.span)
        let codes = [UInt32](capacity: rows.count) { out in
            var i = 0
            while i < rows.count {
                out.append(map.code(column[rows[i]]))
                i &+= 1
            }
        }
        return (codes, table.gather(map.order))
    }

    private func gatherProperties(_ rows: [Int], _ out: inout EventBatch) {
        let starts = propertyStart.span
        let ends = [UInt32](capacity: rows.count + 1) { ends in
            var total: UInt32 = 0
            ends.append(0)
            for row in rows {
                total &+= starts[row &+ 1] &- starts[row]
                ends.append(total)
            }
        }
        let places = Self.places(starts, rows, count: ends.last.map(Int.init) ?? 0)
        out.propertyStart = ends
        (out.propertyKey, out.keys) = Self.recoded(propertyKey, keys, places)
        out.propertyTag = Self.picked(propertyTag, places)
        (out.propertyBits, out.strings) = recodedStrings(places)
    }

    /// The property indexes of the rows.
    private static func places(_ starts: Span<UInt32>, _ rows: [Int], count: Int) -> [Int] {
        [Int](capacity: count) { out in
            for row in rows {
                var p = Int(starts[row])
                let end = Int(starts[row &+ 1])
                while p < end {
                    out.append(p)
                    p &+= 1
                }
            }
        }
    }

    private func recodedStrings(_ places: [Int]) -> ([UInt64], StringTable) {
        var map = CodeMap(strings.count)
        let (tags, bits, places) = (propertyTag.span, propertyBits.span, places.span)
        let out = [UInt64](capacity: places.count) { out in
            var i = 0
            while i < places.count {
                let p = places[i]
                let value = bits[p]
                out.append(tags[p] == Tag.string ? UInt64(map.code(UInt32(truncatingIfNeeded: value))) : value)
                i &+= 1
            }
        }
        return (out, strings.gather(map.order))
    }
}

/// Maps old codes to new ones, which are assigned in order of first use.
private struct CodeMap {
    private var codes: [UInt32]
    /// The old code of each new one.
    private(set) var order: [UInt32] = []

    init(_ count: Int) { codes = Array(repeating: .max, count: count) }

    @inline(__always)
    mutating func code(_ old: UInt32) -> UInt32 {
        let known = codes[Int(old)]
        return known != .max ? known : learn(old)
    }

    private mutating func learn(_ old: UInt32) -> UInt32 {
        let new = UInt32(truncatingIfNeeded: order.count)
        codes[Int(old)] = new
        order.append(old)
        return new
    }
}
