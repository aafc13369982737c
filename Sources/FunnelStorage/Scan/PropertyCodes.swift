import FunnelModel

/// Reads one property of many rows as codes of its values. A string that stands in a page many times is looked at once.
/// One thread's; of each segment it keeps the page that was read last, of each batch of the memtable its strings' codes.
package final class PropertyCodes {
    private final class Page {
        let number: Int
        let values: ColumnValues
        /// Index into the values by row of the page; -1 is no value.
        let slots: [Int32]
        /// By the page's strings; `unknown` until one is asked for.
        var codes: [Int32]

        init(_ number: Int, _ values: ColumnValues) {
            self.number = number
            self.values = values
            var slots = [Int32](repeating: -1, count: KeyPage.rows)
            for (i, row) in values.rows.enumerated() { slots[Int(row)] = Int32(truncatingIfNeeded: i) }
            self.slots = slots
            codes = [Int32](repeating: PropertyCodes.unknown, count: values.strings.count)
        }
    }

    /// The code of a row without a value.
    package static let none: Int32 = -1
    private static let unknown: Int32 = -2

    private let snapshot: Snapshot
    private let key: ByteString
    private var pages: [Page?]
    private var batchCodes: BatchCodes
    /// By batch of the memtable and its strings; none until a string of the batch is met.
    private var batchStrings: [[Int32]]

    package init(_ snapshot: Snapshot, _ key: ByteString) {
        self.snapshot = snapshot
        self.key = key
        batchCodes = BatchCodes(key, snapshot.memtable)
        batchStrings = Array(repeating: [], count: snapshot.memtable.batches.count)
        pages = Array(repeating: nil, count: snapshot.segments.count)
    }

    /// The code of each row's value, in the order of `refs`.
    /// - Parameter code: gives a value its code, not below 0.
    package func codes(of refs: [RowRef], _ code: (PropertyValue) throws -> Int32) throws -> [Int32] {
        var codes = [Int32](repeating: Self.none, count: refs.count)
        if turnsBack(refs) {
            // Read where they lie one after the other, so that no page is opened twice.
            for i in refs.indices.sorted(by: { refs[$0].bits < refs[$1].bits }) { codes[i] = try self.code(of: refs[i], code) }
        } else {
            var i = 0
            while i < refs.count { i = try take(refs, from: i, into: &codes, code) }
        }
        return codes
    }

    /// Rows from one on, as long as they lie in one page. Returns the first that does not.
    private func take(_ refs: [RowRef], from start: Int, into codes: inout [Int32], _ code: (PropertyValue) throws -> Int32) throws -> Int {
        let source = refs[start].source
        guard source < pages.count else {
            codes[start] = try self.code(ofMemory: refs[start], code)
            return start + 1
        }
        let number = refs[start].row / KeyPage.rows
        let page = try page(source, number)
        let slots = page.slots
        let tags = page.values.tags
        let bits = page.values.bits
        var known = page.codes
        page.codes = []
        defer { page.codes = known }
        let first = RowRef(source: source, row: number * KeyPage.rows).bits
        var i = start
        while i < refs.count, refs[i].bits &- first < UInt64(KeyPage.rows) {
            let slot = Int(slots[Int(refs[i].bits &- first)])
            if slot < 0 {
                codes[i] = Self.none
            } else if tags[slot] != EventBatch.Tag.string {
                codes[i] = try code(page.values.value(slot))
            } else {
                let string = Int(bits[slot])
                if known[string] == Self.unknown { known[string] = try code(page.values.value(slot)) }
                codes[i] = known[string]
            }
            i += 1
        }
        return i
    }

    /// Whether some row lies in an earlier page of its source than a row before it.
    private func turnsBack(_ refs: [RowRef]) -> Bool {
        var last = [Int](repeating: 0, count: pages.count)
        for ref in refs where ref.source < last.count {
            let page = ref.row / KeyPage.rows
            if page < last[ref.source] { return true }
            last[ref.source] = page
        }
        return false
    }

    private func code(of ref: RowRef, _ code: (PropertyValue) throws -> Int32) throws -> Int32 {
        let source = ref.source
        guard source < pages.count else { return try self.code(ofMemory: ref, code) }
        let page = try page(source, ref.row / KeyPage.rows)
        let slot = Int(page.slots[ref.row % KeyPage.rows])
        guard slot >= 0 else { return Self.none }
        guard page.values.tags[slot] == EventBatch.Tag.string else { return try code(page.values.value(slot)) }
        let string = Int(page.values.bits[slot])
        if page.codes[string] == Self.unknown { page.codes[string] = try code(page.values.value(slot)) }
        return page.codes[string]
    }

    private func code(ofMemory ref: RowRef, _ code: (PropertyValue) throws -> Int32) throws -> Int32 {
        let memtable = snapshot.memtable
        let run = memtable.runs[ref.source - pages.count]
        let number = run.batch[ref.row]
        guard let p = batchCodes.place(memtable, batch: number, row: Int(run.row[ref.row])) else { return Self.none }
        // The batch's columns are not copied out of the object: each would be counted.
        let stored = memtable.batch(number)
        guard stored.batch.propertyTag[p] == EventBatch.Tag.string else { return try code(stored.batch.value(ofProperty: p)) }
        let (at, string) = (Int(number &- memtable.firstBatch), Int(stored.batch.propertyBits[p]))
        if batchStrings[at].isEmpty { batchStrings[at] = Array(repeating: Self.unknown, count: stored.batch.strings.count) }
        if batchStrings[at][string] == Self.unknown { batchStrings[at][string] = try code(stored.batch.value(ofProperty: p)) }
        return batchStrings[at][string]
    }

    private func page(_ source: Int, _ number: Int) throws(StoreError) -> Page {
        if let open = pages[source], open.number == number { return open }
        let page = Page(number, try snapshot.segments[source].column(.property(key), page: number))
        pages[source] = page
        return page
    }
}
