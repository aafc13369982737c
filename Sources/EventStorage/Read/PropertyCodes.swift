import FunnelModel

/// Reads one property of many rows as codes of its values, on one thread. Each distinct string is looked up once, however
/// many pages have it. Pages are kept, since the rows of a slice go back and forth between them.
package struct PropertyCodes {
    /// The code of a row without a value.
    package static let none: Int32 = -1
    private static let unknown: Int32 = -2

    /// Max bytes of kept pages; above it all are dropped.
    private let keptBytesMax: Int
    private let view: StoreView
    private let key: ByteString
    private let reader: RowReader
    private var batchCodes: BatchCodes
    /// By batch of the memtable and its strings: the code. Empty until a string of the batch is read.
    private var batchStrings: [[Int32]]
    /// Number of each segment's first page among the pages of all.
    private let firstPage: [Int]

    private var kept: [CodedPage] = []
    private var keptBytes = 0
    private var drops = 0
    /// By page: index in `kept`; -1 if it is not kept.
    private var place: [Int32]
    /// By place in `kept` and row of the page: the page's entry.
    private var entries: [UInt32] = []
    /// By place in `kept`: index in `codes` of the page's entries.
    private var firstCode: [Int] = []
    private var codes: [Int32] = []
    /// Strings that have a code, and their codes.
    private var strings = StringInterner()
    private var stringCodes: [Int32] = []

    package init(_ view: StoreView, _ key: ByteString, keptBytesMax: Int = 64 << 20) {
        self.keptBytesMax = keptBytesMax
        self.view = view
        self.key = key
        reader = RowReader(view)
        batchCodes = BatchCodes(key, view.memtable)
        batchStrings = Array(repeating: [], count: view.memtable.batches.count)
        var pages = 0
        firstPage = view.segments.map { segment in
            pages += segment.footer.pages.count
            return pages - segment.footer.pages.count
        }
        place = Array(repeating: -1, count: pages)
    }

    /// The code of each row's value, in the order of `refs`. It is fastest if neighbours in `refs` are neighbours in the files.
    /// - Parameter code: the code of a value, at least 0; must be the same for the same value.
    package mutating func codes(of refs: [RowRef], _ code: (PropertyValue) throws -> Int32) throws -> [Int32] {
        var found = [Int32](repeating: Self.none, count: refs.count)
        let dropsBefore = drops
        var i = 0
        while i < refs.count, drops == dropsBefore {
            try checkCancelled()
            let end = min(refs.count, i + Self.rowsAtOnce)
            while i < end, drops == dropsBefore {
                found[i] = try self.code(of: refs[i], code)
                i += 1
            }
        }
        // Not all pages can be kept, so the remaining rows are read in the order of the files: no page is opened twice.
        for (n, i) in (i..<refs.count).sorted(by: { refs[$0].bits < refs[$1].bits }).enumerated() {
            if n % Self.rowsAtOnce == 0 { try checkCancelled() }
            found[i] = try self.code(of: refs[i], code)
        }
        return found
    }

    /// Rows between two checks for cancellation: they take some milliseconds if each has a new value.
    private static let rowsAtOnce = 1 << 12

    private func checkCancelled() throws(StoreError) {
        if view.isCancelled() { throw StoreError(.cancelled, "the caller gave up") }
    }

    @inline(__always) private mutating func code(of ref: RowRef, _ code: (PropertyValue) throws -> Int32) throws -> Int32 {
        if ref.source >= firstPage.count { return try self.code(ofMemory: ref, code) }
        let (place, entry) = try entry(ref)
        let known = codes[firstCode[place] &+ entry]
        return known == Self.unknown ? try self.code(place, entry, code) : known
    }

    /// Whether all of some rows have the same value.
    package mutating func areEqual(_ refs: [RowRef]) throws -> Bool {
        guard let first = refs.first else { return true }
        for ref in refs.dropFirst() {
            // Most often the rows are neighbours that share one string.
            let isOnePage = ref.source == first.source && ref.row / KeyPage.rows == first.row / KeyPage.rows
            if isOnePage, ref.source < firstPage.count, try entry(ref) == entry(first) { continue }
            if try value(ref) != value(first) { return false }
        }
        return true
    }

    private mutating func value(_ ref: RowRef) throws -> PropertyValue? {
        if ref.source >= firstPage.count { return try reader.property(ref, key) }
        let (place, entry) = try entry(ref)
        return kept[place].value(entry)
    }

    /// Where a row's page is kept, and the row's entry there.
    @inline(__always) private mutating func entry(_ ref: RowRef) throws(StoreError) -> (place: Int, entry: Int) {
        let number = firstPage[ref.source] &+ ref.row / KeyPage.rows
        if place[number] < 0 { try open(ref.source, number) }
        let place = Int(place[number])
        return (place, Int(entries[place &* KeyPage.rows &+ ref.row % KeyPage.rows]))
    }

    /// The code of an entry that has none yet.
    private mutating func code(_ place: Int, _ entry: Int, _ code: (PropertyValue) throws -> Int32) throws -> Int32 {
        let found: Int32
        if let string = kept[place].code(entry, &strings) {
            if string == stringCodes.count { stringCodes.append(try kept[place].value(entry).map(code) ?? Self.none) }
            found = stringCodes[string]
        } else {
            found = try kept[place].value(entry).map(code) ?? Self.none
        }
        codes[firstCode[place] + entry] = found
        return found
    }

    private mutating func code(ofMemory ref: RowRef, _ code: (PropertyValue) throws -> Int32) throws -> Int32 {
        let memtable = view.memtable
        let run = memtable.runs[ref.source - firstPage.count]
        let number = run.batch[ref.row]
        guard let p = batchCodes.place(memtable, batch: number, row: Int(run.row[ref.row])) else { return Self.none }
        // Columns are not copied out of the object: each copy would be reference-counted.
        let stored = memtable.batch(number)
        guard stored.batch.propertyTag[p] == EventBatch.Tag.string else { return try code(stored.batch.value(ofProperty: p)) }
        let (at, string) = (Int(number &- memtable.firstBatch), Int(stored.batch.propertyBits[p]))
        if batchStrings[at].isEmpty { batchStrings[at] = Array(repeating: Self.unknown, count: stored.batch.strings.count) }
        if batchStrings[at][string] == Self.unknown { batchStrings[at][string] = try code(stored.batch.value(ofProperty: p)) }
        return batchStrings[at][string]
    }

    private mutating func open(_ source: Int, _ number: Int) throws(StoreError) {
        let page = try view.segments[source].codedColumn(.property(key), page: number - firstPage[source]) ?? CodedPage()
        keptBytes += page.bytes
        if keptBytes > keptBytesMax { drop(but: page) }
        place[number] = Int32(truncatingIfNeeded: kept.count)
        entries.append(contentsOf: page.codes)
        entries.append(contentsOf: repeatElement(0, count: KeyPage.rows - page.codes.count))
        kept.append(page)
        firstCode.append(codes.count)
        codes.append(contentsOf: repeatElement(Self.unknown, count: page.entries))
        codes.append(Self.none)
    }

    private mutating func drop(but page: CodedPage) {
        for i in place.indices { place[i] = -1 }
        kept.removeAll(keepingCapacity: true)
        entries.removeAll(keepingCapacity: true)
        firstCode.removeAll(keepingCapacity: true)
        codes.removeAll(keepingCapacity: true)
        keptBytes = page.bytes
        drops += 1
    }
}
