import FunnelMatch
import FunnelModel
import FunnelStorage

/// Tells which rows stand behind the keys that a kernel chose, as far as a property of them matters. One thread's.
///
/// A kernel takes the first of the keys that are equal on the clock, so the row is the first of those in the order of
/// section 1 of `Protocol/FUNNEL.md`.
final class KernelRows {
    private let plan: KernelPlan
    private let property: ByteString
    private let loader: KeyLoader
    private let conditions: [RowConditions?]
    /// Rows of the lists that were read of the present slice: each name's, ascending by name.
    private var read: [[RowList]?]
    private var places = 0..<0

    init(_ plan: KernelPlan, _ property: ByteString) {
        self.plan = plan
        self.property = property
        let loader = plan.scan.loader(plan.layout)
        self.loader = loader
        conditions = plan.lists.map { $0.conditions.isEmpty ? nil : RowConditions(plan.scan, $0.conditions) }
        read = plan.lists.map { _ in nil }
    }

    /// The rows of ascending keys of a list, as the rules' clock has them.
    func refs(_ keys: [UInt64], list: Int, places: Range<Int>) throws -> [RowRef] {
        if places != self.places {
            self.places = places
            for i in read.indices { read[i] = nil }
        }
        let names = try read[list] ?? load(list)
        read[list] = names
        if names.count == 1 { return try refs(keys, in: names[0]) }
        var at = [Int](repeating: 0, count: names.count)
        var refs: [RowRef] = []
        refs.reserveCapacity(keys.count)
        for key in keys {
            // The earliest of the names' rows; of equal times the earlier name's.
            var best: Int?
            for (i, rows) in names.enumerated() {
                while at[i] < rows.count, onClock(rows.keys[at[i]]) < key { at[i] += 1 }
                guard at[i] < rows.count, onClock(rows.keys[at[i]]) == key else { continue }
                if best.map({ rows.keys[at[i]] < names[$0].keys[at[$0]] }) ?? true { best = i }
            }
            // Both readers see one snapshot, so a key that has no row here was read from damaged bytes.
            guard let best else { throw StoreError(.corrupt, "a row changed while it was read") }
            refs.append(try first(of: names[best], at: at[best]))
        }
        return refs
    }

    private func refs(_ keys: [UInt64], in rows: RowList) throws -> [RowRef] {
        var refs: [RowRef] = []
        refs.reserveCapacity(keys.count)
        let count = rows.count
        let perTick = plan.perTick
        try unsafe rows.withRows { row, places in
            var at = 0
            for key in keys {
                // Ticks of the clock begin at its multiples of the layout's, so no row needs a division.
                let first = perTick == 1 ? key : firstOnClock(key)
                while at < count, unsafe row[at] < first { at &+= 1 }
                guard at < count, unsafe onClock(row[at]) == key else { throw StoreError(.corrupt, "a row changed while it was read") }
                let isTied = unsafe at + 1 < count && row[at + 1] == row[at]
                refs.append(isTied ? try self.first(of: rows, at: at) : unsafe RowRef(bits: places[at]))
            }
        }
        return refs
    }

    /// The least key of the layout that has a key's tick on the clock.
    private func firstOnClock(_ key: UInt64) -> UInt64 {
        let mask: UInt64 = 1 << UInt64(plan.layout.timeBits) - 1
        return key & ~mask | (key & mask) * plan.perTick
    }

    private func onClock(_ key: UInt64) -> UInt64 {
        if plan.perTick == 1 { return key }
        let mask: UInt64 = 1 << UInt64(plan.layout.timeBits) - 1
        return key & ~mask | (key & mask) / plan.perTick
    }

    /// Of rows of one time and name the first in order, unless the property is the same in all of them: to find the order
    /// costs a look at everything that they hold.
    private func first(of rows: RowList, at start: Int) throws -> RowRef {
        var end = start + 1
        while end < rows.count, rows.keys[end] == rows.keys[start] { end += 1 }
        let ref = rows.ref(start)
        if end - start == 1 { return ref }
        let value = try loader.reader.property(ref, property)
        let others = (start + 1..<end).map { rows.ref($0) }
        if try others.allSatisfy({ try loader.reader.property($0, property) == value }) { return ref }
        return try loader.first(of: [ref] + others)
    }

    private func load(_ number: Int) throws -> [RowList] {
        let list = plan.lists[number]
        let mask: UInt64 = 1 << UInt64(plan.layout.timeBits) - 1
        return try list.names.map { name in
            var rows = try loader.loadRows(name, places: places, isOrdered: false)
            try conditions[number]?.filter(&rows)
            if list.isEntry, let entry = plan.entry { rows.keep { key, _ in entry.contains(key & mask) } }
            return rows
        }
    }
}
