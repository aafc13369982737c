import FunnelModel

/// Reads one property of many rows as codes of its values. A string that stands in a page many times is looked at once.
/// One thread's; of each source it keeps the page that was read last.
package final class PropertyCodes {
    private struct Page {
        var number: Int
        var values: ColumnValues
        /// Index into the values by row of the page; -1 is no value.
        var slots: [Int32]
        /// By the page's strings; `unknown` until one is asked for.
        var codes: [Int32]
    }

    /// The code of a row without a value.
    package static let none: Int32 = -1
    private static let unknown: Int32 = -2

    private let snapshot: Snapshot
    private let key: ByteString
    private let reader: RowReader
    private var pages: [Page?]

    package init(_ scan: KeyScan, _ key: ByteString) {
        snapshot = scan.snapshot
        self.key = key
        reader = RowReader(scan.snapshot)
        pages = Array(repeating: nil, count: scan.snapshot.segments.count)
    }

    /// The code of each row's value, in the order of `refs`.
    /// - Parameter code: gives a value its code, not below 0.
    package func codes(of refs: [RowRef], _ code: (PropertyValue) throws -> Int32) throws -> [Int32] {
        var codes = [Int32](repeating: Self.none, count: refs.count)
        if turnsBack(refs) {
            // Read where they lie one after the other, so that no page is opened twice.
            for i in refs.indices.sorted(by: { refs[$0].bits < refs[$1].bits }) { codes[i] = try self.code(of: refs[i], code) }
        } else {
            for i in refs.indices { codes[i] = try self.code(of: refs[i], code) }
        }
        return codes
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
        guard source < pages.count else {
            guard let value = try reader.property(ref, key) else { return Self.none }
            return try code(value)
        }
        let number = ref.row / KeyPage.rows
        if pages[source]?.number != number { pages[source] = try open(source, number) }
        guard let slot = pages[source]?.slots[ref.row % KeyPage.rows], slot >= 0 else { return Self.none }
        return try self.code(source, Int(slot), code)
    }

    /// The code of a value of the page that is open.
    private func code(_ source: Int, _ slot: Int, _ code: (PropertyValue) throws -> Int32) throws -> Int32 {
        guard let tag = pages[source]?.values.tags[slot], let bits = pages[source]?.values.bits[slot] else { return Self.none }
        if tag == EventBatch.Tag.string, let known = pages[source]?.codes[Int(bits)], known != Self.unknown { return known }
        guard let value = pages[source]?.values.value(slot) else { return Self.none }
        let found = try code(value)
        if tag == EventBatch.Tag.string { pages[source]?.codes[Int(bits)] = found }
        return found
    }

    private func open(_ source: Int, _ number: Int) throws(StoreError) -> Page {
        let values = try snapshot.segments[source].column(.property(key), page: number)
        var slots = [Int32](repeating: -1, count: KeyPage.rows)
        for (i, row) in values.rows.enumerated() { slots[Int(row)] = Int32(truncatingIfNeeded: i) }
        let codes = [Int32](repeating: Self.unknown, count: values.strings.count)
        return Page(number: number, values: values, slots: slots, codes: codes)
    }
}
