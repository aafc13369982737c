import FunnelModel

/// Conditions on properties, all of which must hold. Checked page by page, each distinct string of a page once; rows of
/// the memtable one by one.
package final class RowConditions {
    private let snapshot: Snapshot
    private let reader: RowReader
    private let conditions: [Predicate]
    /// By source: the page that was checked last, and which of its rows are accepted.
    private var pages: [(number: Int, accepted: [UInt8])]

    package init(_ loader: KeyLoader, _ scan: KeyScan, _ conditions: [Predicate]) {
        snapshot = scan.snapshot
        reader = loader.reader
        self.conditions = conditions
        pages = scan.snapshot.segments.map { _ in (-1, []) }
    }

    /// Leaves the rows that meet the conditions.
    package func filter(_ rows: inout RowList) throws {
        var flags = [UInt8](repeating: 0, count: rows.count)
        let count = rows.count
        try unsafe rows.withRows { _, refs in
            var i = 0
            while i < count { i = try unsafe take(refs, from: i, count, into: &flags) }
        }
        rows.keep(flags)
    }

    /// Rows from one on, as long as they lie in one page. Returns the first that does not.
    private func take(_ refs: UnsafePointer<UInt64>, from start: Int, _ count: Int, into flags: inout [UInt8]) throws -> Int {
        let ref = unsafe RowRef(bits: refs[start])
        guard ref.source < pages.count else {
            flags[start] = try accepts(ref) ? 1 : 0
            return start + 1
        }
        let page = ref.row / KeyPage.rows
        if pages[ref.source].number != page { pages[ref.source] = (page, try check(snapshot.segments[ref.source], page)) }
        let accepted = pages[ref.source].accepted
        let first = RowRef(source: ref.source, row: page * KeyPage.rows).bits
        var i = start
        while i < count {
            let row = unsafe refs[i] &- first
            if row >= UInt64(KeyPage.rows) { break }
            flags[i] = accepted[Int(row)]
            i += 1
        }
        return i
    }

    private func accepts(_ ref: RowRef) throws -> Bool {
        for condition in conditions where !condition.accepts(try reader.property(ref, condition.property)) { return false }
        return true
    }

    private func check(_ segment: Segment, _ page: Int) throws(StoreError) -> [UInt8] {
        var accepted = [UInt8](repeating: 1, count: KeyPage.rows)
        for condition in conditions {
            let values = try segment.column(.property(condition.property), page: page)
            var mine = [UInt8](repeating: condition.accepts(nil) ? 1 : 0, count: KeyPage.rows)
            let strings = (0..<values.strings.count).map { condition.accepts(.string(values.strings[$0])) ? UInt8(1) : 0 }
            for i in values.rows.indices {
                let isString = values.tags[i] == EventBatch.Tag.string
                mine[Int(values.rows[i])] = isString ? strings[Int(values.bits[i])] : (condition.accepts(values.value(i)) ? 1 : 0)
            }
            for i in accepted.indices { accepted[i] &= mine[i] }
        }
        return accepted
    }
}
