import FunnelModel

/// Tests rows against conditions on properties, all of which must hold, on one thread. Segment files are tested page by page,
/// the memtable as a whole.
package final class RowConditions {
    private let view: StoreView
    private let tests: [(column: ColumnKey, test: ColumnTest)]
    /// By segment file: the page that was tested last, and the flags of its rows.
    private var pages: [(number: Int, flags: [UInt8])]
    private let memory: MemoryFlags?
    /// Flags of the keys that are being marked.
    private var flags: [UInt8] = []

    package init(_ scan: RowSelection, _ conditions: [Predicate]) {
        view = scan.view
        tests = conditions.map { (.property($0.property), ColumnTest($0)) }
        pages = scan.view.segments.map { _ in (-1, []) }
        memory = scan.memoryFlags(conditions)
    }

    /// Keeps only the rows that meet the conditions.
    package func filter(_ rows: inout RowList) throws(StoreError) { rows.keep(try flags(of: rows)) }

    /// 1 for each row that meets the conditions, else 0.
    package func flags(of rows: RowList) throws(StoreError) -> [UInt8] {
        var flags = [UInt8](repeating: 0, count: rows.count)
        var i = 0
        while i < flags.count {
            let ref = rows.ref(i)
            guard ref.source < pages.count else {
                flags[i] = flag(view.memtable.runs[ref.source - pages.count], ref.row)
                i += 1
                continue
            }
            let page = ref.row / KeyPage.rows
            try open(ref.source, page: page)
            let mine = pages[ref.source].flags
            let first = RowRef(source: ref.source, row: page * KeyPage.rows).bits
            // As long as the rows are in this page.
            while i < flags.count, rows.ref(i).bits &- first < UInt64(KeyPage.rows) {
                flags[i] = mine[Int(rows.ref(i).bits &- first)]
                i += 1
            }
        }
        return flags
    }

    /// Marks the keys of consecutive rows of a segment file; see `KeyList.mark`.
    func mark(_ keys: inout KeyList, segment: Int, firstRow: Int) throws(StoreError) {
        flags.removeAll(keepingCapacity: true)
        while flags.count < keys.count {
            let row = firstRow + flags.count
            try open(segment, page: row / KeyPage.rows)
            let from = row % KeyPage.rows
            flags.append(contentsOf: pages[segment].flags[from..<min(KeyPage.rows, from + keys.count - flags.count)])
        }
        keys.mark(flags)
    }

    /// Marks the keys of consecutive rows of a memtable run.
    func mark(_ keys: inout KeyList, _ run: RowRun, firstRow: Int) {
        flags.removeAll(keepingCapacity: true)
        for row in firstRow..<(firstRow + keys.count) { flags.append(flag(run, row)) }
        keys.mark(flags)
    }

    private func flag(_ run: RowRun, _ row: Int) -> UInt8 { memory?.flag(batch: run.batch[row], row: run.row[row]) ?? 0 }

    private func open(_ segment: Int, page: Int) throws(StoreError) {
        if pages[segment].number == page { return }
        if view.isCancelled() { throw StoreError(.cancelled, "the caller gave up") }
        var flags = [UInt8](repeating: 1, count: KeyPage.rows)
        for (column, test) in tests {
            let mine = try view.segments[segment].flags(test, of: column, page: page)
            for i in 0..<min(flags.count, mine.count) { flags[i] &= mine[i] }
        }
        pages[segment] = (page, flags)
    }
}
