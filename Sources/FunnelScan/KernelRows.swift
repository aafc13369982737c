import FunnelMatch
import FunnelModel
import FunnelStorage

/// One thread's reader of the lists of a kernel plan that also knows which row each key of some lists is. Those rows are
/// in the order of section 1 of `Protocol/FUNNEL.md`, without repeats.
final class KernelRows {
    private let plan: KernelPlan
    private let loader: KeyLoader
    private let conditions: [RowConditions?]
    /// Whether the rows of a list are wanted.
    private let withRows: [Bool]
    /// One list of keys for each of the plan's, of the slice that was loaded last.
    private(set) var lists: [KeyList]
    /// The row of each key; empty where rows were not wanted.
    private(set) var refs: [[RowRef]]

    init(_ plan: KernelPlan, rowsOf wanted: Set<Int>) {
        self.plan = plan
        let loader = plan.scan.loader(plan.layout)
        self.loader = loader
        conditions = plan.lists.map { $0.conditions.isEmpty ? nil : RowConditions(loader, plan.scan, $0.conditions) }
        withRows = plan.lists.indices.map { wanted.contains($0) }
        lists = plan.lists.map { _ in KeyList() }
        refs = plan.lists.map { _ in [] }
    }

    var reader: RowReader { loader.reader }

    func load(_ places: Range<Int>) throws {
        for (i, list) in plan.lists.enumerated() {
            if withRows[i] || conditions[i] != nil || list.names.contains(where: plan.scan.isServerTimed) {
                try loadRows(list, i, places)
            } else {
                try loader.load(list.names, places: places, into: &lists[i])
                if list.isEntry, let entry = plan.entry { lists[i].keep(ticks: entry, timeBits: plan.layout.timeBits) }
            }
            if plan.perTick > 1 { lists[i].divideTicks(by: plan.perTick, timeBits: plan.layout.timeBits) }
        }
    }

    private func loadRows(_ list: KernelPlan.List, _ i: Int, _ places: Range<Int>) throws {
        var parts: [Rows] = []
        // Ascending by name, so that of equal times the earlier name comes first.
        for name in list.names {
            var rows = try loader.loadRows(name, places: places)
            if let conditions = conditions[i] { try rows.keep(where: conditions.accepts) }
            if rows.count > 0 { parts.append(Rows(keys: rows.keys, refs: rows.refs)) }
        }
        while parts.count > 1 {
            parts = stride(from: 0, to: parts.count, by: 2).map { i in
                i + 1 < parts.count ? Rows.merging(parts[i], parts[i + 1]) : parts[i]
            }
        }
        var rows = parts.first ?? Rows()
        if list.isEntry, let entry = plan.entry { rows.keep(ticks: entry, timeBits: plan.layout.timeBits) }
        lists[i] = KeyList(rows.keys)
        refs[i] = withRows[i] ? rows.refs : []
    }
}

/// Rows as keys, ascending.
private struct Rows {
    var keys: [UInt64] = []
    var refs: [RowRef] = []

    mutating func keep(ticks: Range<UInt64>, timeBits: Int) {
        let mask: UInt64 = 1 << UInt64(timeBits) - 1
        var kept = 0
        for i in keys.indices where ticks.contains(keys[i] & mask) {
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
