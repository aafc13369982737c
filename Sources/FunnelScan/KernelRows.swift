import FunnelMatch
import FunnelModel
import FunnelStorage

/// Tells which rows stand behind the keys that a kernel chose. One thread's.
///
/// A kernel takes the first of the keys that are equal on the clock, so the row is the first of those in the order of
/// section 1 of `Protocol/FUNNEL.md`.
final class KernelRows {
    private let plan: KernelPlan
    private let loader: KeyLoader
    private let conditions: [RowConditions?]
    /// Rows of the lists that were read of the present slice.
    private var read: [Rows?]
    private var places = 0..<0

    init(_ plan: KernelPlan) {
        self.plan = plan
        let loader = plan.scan.loader(plan.layout)
        self.loader = loader
        conditions = plan.lists.map { $0.conditions.isEmpty ? nil : RowConditions(loader, plan.scan, $0.conditions) }
        read = plan.lists.map { _ in nil }
    }

    /// The rows of ascending keys of a list, as the rules' clock has them.
    func refs(_ keys: [UInt64], list: Int, places: Range<Int>) throws -> [RowRef] {
        if places != self.places {
            self.places = places
            for i in read.indices { read[i] = nil }
        }
        let rows = try read[list] ?? load(list)
        read[list] = rows
        var refs: [RowRef] = []
        refs.reserveCapacity(keys.count)
        var at = 0
        for key in keys {
            while at < rows.keys.count, rows.keys[at] < key { at += 1 }
            // Both readers see one snapshot, so a key that has no row here was read from damaged bytes.
            guard at < rows.keys.count, rows.keys[at] == key else { throw StoreError(.corrupt, "a row changed while it was read") }
            refs.append(rows.refs[at])
        }
        return refs
    }

    private func load(_ number: Int) throws -> Rows {
        let list = plan.lists[number]
        var parts: [Rows] = []
        // Ascending by name, so that of equal times the earlier name comes first.
        for name in list.names {
            var rows = try loader.loadRows(name, places: places)
            if let conditions = conditions[number] { try rows.keep(where: conditions.accepts) }
            if rows.count > 0 { parts.append(Rows(keys: rows.keys, refs: rows.refs)) }
        }
        while parts.count > 1 {
            parts = stride(from: 0, to: parts.count, by: 2).map { i in
                i + 1 < parts.count ? Rows.merging(parts[i], parts[i + 1]) : parts[i]
            }
        }
        var rows = parts.first ?? Rows()
        let mask: UInt64 = 1 << UInt64(plan.layout.timeBits) - 1
        if list.isEntry, let entry = plan.entry { rows.keep { entry.contains($0 & mask) } }
        if plan.perTick > 1 { for i in rows.keys.indices { rows.keys[i] = rows.keys[i] & ~mask | (rows.keys[i] & mask) / plan.perTick } }
        return rows
    }
}

/// Rows by ascending keys.
private struct Rows {
    var keys: [UInt64] = []
    var refs: [RowRef] = []

    mutating func keep(_ isKept: (UInt64) -> Bool) {
        var kept = 0
        for i in keys.indices where isKept(keys[i]) {
            keys[kept] = keys[i]
            refs[kept] = refs[i]
            kept += 1
        }
        keys.removeLast(keys.count - kept)
        refs.removeLast(refs.count - kept)
    }

    /// Of equal keys those of `a` come first.
    static func merging(_ a: Rows, _ b: Rows) -> Rows {
        var out = Rows()
        out.keys.reserveCapacity(a.keys.count + b.keys.count)
        out.refs.reserveCapacity(a.keys.count + b.keys.count)
        var i = 0
        var j = 0
        while i < a.keys.count || j < b.keys.count {
            let takesFirst = j == b.keys.count || (i < a.keys.count && a.keys[i] <= b.keys[j])
            out.keys.append(takesFirst ? a.keys[i] : b.keys[j])
            out.refs.append(takesFirst ? a.refs[i] : b.refs[j])
            if takesFirst { i += 1 } else { j += 1 }
        }
        return out
    }
}
