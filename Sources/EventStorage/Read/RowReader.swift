import FunnelModel

/// Reads the columns of a row, on one thread. It keeps the pages that it has read, since the rows of a user go from name to
/// name and so from page to page.
package final class RowReader {
    private struct CachedPage {
        var values: ColumnValues
        /// By row of the page: index into the values; -1 is no value.
        var slots: [Int32]
    }

    private struct CacheKey: Hashable {
        var source: Int
        var column: ColumnKey
        var page: Int
    }

    /// Max bytes of kept pages; above it all are dropped. Thousands of columns of a hundred segment files do not fit in memory.
    private static let cachedBytesMax = 256 << 20

    private let view: StoreView
    private var cache: [CacheKey: CachedPage] = [:]
    private var cachedBytes = 0
    private var keyCodes: [ByteString: BatchCodes] = [:]

    init(_ view: StoreView) { self.view = view }

    /// A property's value; nil if the row has none.
    package func property(_ ref: RowRef, _ key: ByteString) throws(StoreError) -> PropertyValue? {
        if ref.source < view.segments.count { return try value(ref, .property(key)) }
        let memtable = view.memtable
        let run = memtable.runs[ref.source - view.segments.count]
        let (batch, row) = (run.batch[ref.row], Int(run.row[ref.row]))
        guard let p = keyCodes[key, default: BatchCodes(key, memtable)].place(memtable, batch: batch, row: row) else { return nil }
        return memtable.batch(batch).batch.value(ofProperty: p)
    }

    /// The event id; empty if the row has none.
    package func id(_ ref: RowRef) throws(StoreError) -> ByteString {
        if ref.source >= view.segments.count {
            let (stored, row) = memory(ref)
            return ByteString(stored.id(row))
        }
        guard case .string(let id)? = try value(ref, .ids) else { return "" }
        return id
    }

    func isServerTimed(_ ref: RowRef) throws(StoreError) -> Bool {
        if ref.source >= view.segments.count {
            let (stored, row) = memory(ref)
            return stored.isServerTimed(row)
        }
        return try value(ref, .serverTimed) != nil
    }

    /// All properties, in the order of their keys.
    func properties(_ ref: RowRef) throws(StoreError) -> [Event.Property] {
        if ref.source >= view.segments.count {
            let (stored, row) = memory(ref)
            return stored.batch.properties(ofRow: row)
        }
        var found: [Event.Property] = []
        for column in view.segments[ref.source].footer.columns {
            guard case .property(let key) = column.key, let value = try value(ref, column.key) else { continue }
            found.append(Event.Property(key, value))
        }
        return found
    }

    /// Whether row `a` became durable before row `b`.
    func isEarlier(_ a: RowRef, than b: RowRef) -> Bool {
        let segments = view.segments.count
        if a.source < segments || b.source < segments { return a.source == b.source ? a.row < b.row : a.source < b.source }
        let runs = view.memtable.runs
        let (x, y) = (runs[a.source - segments], runs[b.source - segments])
        let (i, j) = (x.batch[a.row], y.batch[b.row])
        let first = view.memtable.firstBatch
        return i == j ? x.row[a.row] < y.row[b.row] : i &- first < j &- first
    }

    private func memory(_ ref: RowRef) -> (StoredBatch, Int) {
        let run = view.memtable.runs[ref.source - view.segments.count]
        return (view.memtable.batch(run.batch[ref.row]), Int(run.row[ref.row]))
    }

    private func value(_ ref: RowRef, _ column: ColumnKey) throws(StoreError) -> PropertyValue? {
        let page = ref.row / KeyPage.rows
        let key = CacheKey(source: ref.source, column: column, page: page)
        if cache[key] == nil {
            let values = try view.segments[ref.source].column(column, page: page)
            var slots = [Int32](repeating: -1, count: values.rows.isEmpty ? 0 : KeyPage.rows)
            for (i, row) in values.rows.enumerated() { slots[Int(row)] = Int32(truncatingIfNeeded: i) }
            cachedBytes += 256 + 4 * slots.count + 13 * values.rows.count + values.strings.heap.count
            if cachedBytes > Self.cachedBytesMax {
                cache.removeAll()
                cachedBytes = 0
            }
            cache[key] = CachedPage(values: values, slots: slots)
        }
        guard let cached = cache[key], !cached.slots.isEmpty else { return nil }
        let slot = cached.slots[ref.row % KeyPage.rows]
        return slot < 0 ? nil : cached.values.value(Int(slot))
    }
}
