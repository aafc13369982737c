import FunnelModel

/// Reads one property of many rows as codes of its values; each distinct string is looked up once, whatever pages it stands
/// in. One thread's. Pages that were read are kept, since the rows of a slice go back and forth between them.
package struct PropertyCodes {
    /// The code of a row without a value.
    package static let none: Int32 = -1
    private static let unknown: Int32 = -2
    /// Bytes of pages kept; above it all are dropped.
    private static let keptBytesMax = 64 << 20

    private let snapshot: Snapshot
    private let key: ByteString
    private let reader: RowReader
    /// Number of each segment's first page among the pages of all.
    private let firstPage: [Int]

    private var kept: [(page: CodedPage, firstEntry: Int)] = []
    private var keptBytes = 0
    /// By page: index in `kept`; -1 where it is not.
    private var place: [Int32]
    /// By place in `kept` and row of the page: the entry, counted over all pages kept.
    private var entries: [UInt32] = []
    /// By entry. Entry 0 is no value.
    private var codes: [Int32] = [PropertyCodes.none]
    /// Strings that have a code, and which.
    private var strings = StringInterner()
    private var stringCodes: [Int32] = []

    package init(_ snapshot: Snapshot, _ key: ByteString) {
        self.snapshot = snapshot
        self.key = key
        reader = RowReader(snapshot)
        var pages = 0
        firstPage = snapshot.segments.map { segment in
            pages += segment.footer.pages.count
            return pages - segment.footer.pages.count
        }
        place = Array(repeating: -1, count: pages)
    }

    /// The code of each row's value, in the order of `refs`. Quickest where neighbours in `refs` are so in the files.
    /// - Parameter code: gives a value its code, not below 0; always the same.
    package mutating func codes(of refs: [RowRef], _ code: (PropertyValue) throws -> Int32) throws -> [Int32] {
        var found = [Int32](repeating: Self.none, count: refs.count)
        for i in refs.indices {
            let ref = refs[i]
            if ref.source >= firstPage.count {
                if let value = try reader.property(ref, key) { found[i] = try code(value) }
                continue
            }
            let entry = try entry(ref)
            let known = codes[entry]
            found[i] = known == Self.unknown ? try self.code(ofEntry: entry, ref, code) : known
        }
        return found
    }

    /// Whether all of some rows have the same value.
    package mutating func areEqual(_ refs: [RowRef]) throws -> Bool {
        guard let first = refs.first else { return true }
        var value: PropertyValue??
        for ref in refs.dropFirst() {
            if ref.source < firstPage.count, first.source < firstPage.count, try entry(ref) == entry(first) { continue }
            let wanted = try value ?? self.value(first)
            value = wanted
            if try self.value(ref) != wanted { return false }
        }
        return true
    }

    private mutating func value(_ ref: RowRef) throws -> PropertyValue? {
        if ref.source >= firstPage.count { return try reader.property(ref, key) }
        let entry = try entry(ref)
        if entry == 0 { return nil }
        let (page, firstEntry) = kept[Int(place[number(ref)])]
        return page.value(entry - firstEntry)
    }

    @inline(__always) private func number(_ ref: RowRef) -> Int { firstPage[ref.source] &+ ref.row / KeyPage.rows }

    @inline(__always) private mutating func entry(_ ref: RowRef) throws(StoreError) -> Int {
        let number = number(ref)
        if place[number] < 0 { try open(ref.source, number) }
        return Int(entries[Int(place[number]) &* KeyPage.rows &+ ref.row % KeyPage.rows])
    }

    private mutating func code(ofEntry entry: Int, _ ref: RowRef, _ code: (PropertyValue) throws -> Int32) throws -> Int32 {
        let (page, firstEntry) = kept[Int(place[number(ref)])]
        let found: Int32
        if let table = page.strings {
            let range = table.range(entry - firstEntry)
            let string = Int(strings.code(table.heap.span.extracting(range)))
            if string == stringCodes.count { stringCodes.append(try code(page.value(entry - firstEntry))) }
            found = stringCodes[string]
        } else {
            found = try code(page.value(entry - firstEntry))
        }
        codes[entry] = found
        return found
    }

    private mutating func open(_ source: Int, _ number: Int) throws(StoreError) {
        let page = try snapshot.segments[source].codedColumn(.property(key), page: number - firstPage[source]) ?? CodedPage()
        keptBytes += page.bytes
        if keptBytes > Self.keptBytesMax { drop(but: page) }
        place[number] = Int32(truncatingIfNeeded: kept.count)
        let firstEntry = codes.count
        kept.append((page, firstEntry))
        codes.append(contentsOf: repeatElement(Self.unknown, count: page.entries))
        let base = UInt32(truncatingIfNeeded: firstEntry)
        entries.append(contentsOf: page.codes.lazy.map { $0 == CodedPage.none ? 0 : base &+ $0 })
        entries.append(contentsOf: repeatElement(0, count: KeyPage.rows - page.codes.count))
    }

    private mutating func drop(but page: CodedPage) {
        for i in place.indices { place[i] = -1 }
        kept.removeAll(keepingCapacity: true)
        entries.removeAll(keepingCapacity: true)
        codes.removeLast(codes.count - 1)
        keptBytes = page.bytes
    }
}
