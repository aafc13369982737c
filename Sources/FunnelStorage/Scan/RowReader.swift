import FunnelModel

/// Reads what a row holds beside its key. One thread's; it keeps the pages it has read, since the rows of a user go from
/// name to name and so from page to page.
package final class RowReader {
    private struct CachedPage {
        var values: ColumnValues
        /// Index into the values by row of the page; -1 is no value.
        var slots: [Int32]
    }

    private struct CacheKey: Hashable {
        var source: Int
        var column: ColumnKey
        var page: Int
    }

    /// Bytes of pages kept; above it all are dropped. Thousands of columns of a hundred segments don't fit in memory.
    private static let cachedBytesMax = 256 << 20

    private let snapshot: Snapshot
    private var cache: [CacheKey: CachedPage] = [:]
    private var cachedBytes = 0
    private var keyCodes: [ByteString: BatchCodes] = [:]

    init(_ snapshot: Snapshot) { self.snapshot = snapshot }

    /// A property's value; nil where the row has none.
    package func property(_ ref: RowRef, _ key: ByteString) throws(StoreError) -> PropertyValue? {
        if ref.source < snapshot.segments.count { return try value(ref, .property(key)) }
        let memtable = snapshot.memtable
        let run = memtable.runs[ref.source - snapshot.segments.count]
        let (batch, row) = (run.batch[ref.row], Int(run.row[ref.row]))
        guard let p = keyCodes[key, default: BatchCodes(key, memtable)].place(memtable, batch: batch, row: row) else { return nil }
        return memtable.batch(batch).batch.value(ofProperty: p)
    }

    package func id(_ ref: RowRef) throws(StoreError) -> ByteString {
        if ref.source >= snapshot.segments.count {
            let (stored, row) = memory(ref)
            return ByteString(stored.id(row))
        }
        guard case .string(let id)? = try value(ref, .ids) else { return "" }
        return id
    }

    func isServerTimed(_ ref: RowRef) throws(StoreError) -> Bool {
        if ref.source >= snapshot.segments.count {
            let (stored, row) = memory(ref)
            return stored.isServerTimed(row)
        }
        return try value(ref, .serverTimed) != nil
    }

    /// All properties, in the order of their keys.
    func properties(_ ref: RowRef) throws(StoreError) -> [Event.Property] {
        if ref.source >= snapshot.segments.count {
            let (stored, row) = memory(ref)
            return stored.batch.properties(ofRow: row)
        }
        var found: [Event.Property] = []
        for column in snapshot.segments[ref.source].footer.columns {
            guard case .property(let key) = column.key, let value = try value(ref, column.key) else { continue }
            found.append(Event.Property(key, value))
        }
        return found
    }

    /// Ascending by when the rows became durable.
    func isEarlier(_ a: RowRef, than b: RowRef) -> Bool {
        let segments = snapshot.segments.count
        if a.source < segments || b.source < segments { return a.source == b.source ? a.row < b.row : a.source < b.source }
        let runs = snapshot.memtable.runs
        let (x, y) = (runs[a.source - segments], runs[b.source - segments])
        let (i, j) = (x.batch[a.row], y.batch[b.row])
        let first = snapshot.memtable.firstBatch
        return i == j ? x.row[a.row] < y.row[b.row] : i &- first < j &- first
    }

    private func memory(_ ref: RowRef) -> (StoredBatch, Int) {
        let run = snapshot.memtable.runs[ref.source - snapshot.segments.count]
        return (snapshot.memtable.batch(run.batch[ref.row]), Int(run.row[ref.row]))
    }

    private func value(_ ref: RowRef, _ column: ColumnKey) throws(StoreError) -> PropertyValue? {
        let page = ref.row / KeyPage.rows
        let key = CacheKey(source: ref.source, column: column, page: page)
        if cache[key] == nil {
            let values = try snapshot.segments[ref.source].column(column, page: page)
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

/// Each batch's own code of a property key, looked up once a batch.
struct BatchCodes {
    private let key: ByteString
    /// By the batch's number less the memtable's first.
    private var codes: [Code]

    private enum Code {
        case unknown
        case known(UInt32?)
    }

    init(_ key: ByteString, _ memtable: Memtable) {
        self.key = key
        codes = Array(repeating: .unknown, count: memtable.batches.count)
    }

    /// Index of a row's property in the columns of its batch; nil where it has none.
    mutating func place(_ memtable: Memtable, batch number: UInt32, row: Int) -> Int? {
        let stored = memtable.batch(number)
        let code: UInt32?
        switch codes[Int(number &- memtable.firstBatch)] {
        case .known(let known): code = known
        case .unknown:
            code = stored.batch.code(ofKey: key)
            codes[Int(number &- memtable.firstBatch)] = .known(code)
        }
        guard let code else { return nil }
        return stored.batch.place(ofKey: code, row: row)
    }
}

/// Which of a name's rows are one event (`Protocol/SEGMENT.md`, "Reading").
struct Ties {
    private let reader: RowReader
    private let allowance: ReadAllowance
    private let serverTimed: Bool
    private let timeBits: Int
    /// For a file rather than a reader: of equal ids a server-timed row and another both stay, since a row elsewhere may
    /// yet decide that the first is none.
    private let isForFile: Bool
    /// Whether rows of one time without ids come in the order of their properties; which of them are there is not touched.
    private let isOrdered: Bool
    /// Ids of the present user's server-timed rows that stand already.
    private var seen: Set<ByteString> = []

    init(_ reader: RowReader, _ allowance: ReadAllowance, serverTimed: Bool, timeBits: Int, isForFile: Bool, isOrdered: Bool) {
        self.reader = reader
        self.allowance = allowance
        self.isOrdered = isOrdered
        self.serverTimed = serverTimed
        self.isForFile = isForFile
        self.timeBits = timeBits
    }

    private struct Row {
        var ref: RowRef
        var id: ByteString
        var properties: [UInt8] = []
    }

    mutating func settle(_ list: inout RowList) throws(StoreError) {
        // A server's time may decide of any row; else only rows of one time can be one event.
        let stretches = serverTimed ? stretches(list) : list.ties
        var flags: [UInt8] = []
        var user = UInt64.max
        for rows in stretches {
            let place = list.keys[rows.lowerBound] >> UInt64(timeBits)
            if place != user { seen.removeAll(keepingCapacity: true) }
            user = place
            let standing = try self.standing(rows.map(list.ref))
            for (i, ref) in standing.enumerated() { list.replace(rows.lowerBound + i, by: ref) }
            if standing.count == rows.count { continue }
            if flags.isEmpty { flags = [UInt8](repeating: 1, count: list.count) }
            for i in (rows.lowerBound + standing.count)..<rows.upperBound { flags[i] = 0 }
        }
        if !flags.isEmpty { list.keep(flags) }
    }

    private func stretches(_ list: RowList) -> [Range<Int>] {
        var stretches: [Range<Int>] = []
        var start = 0
        for i in 1..<max(1, list.count) where list.keys[i] != list.keys[start] {
            stretches.append(start..<i)
            start = i
        }
        if list.count > 0 { stretches.append(start..<list.count) }
        return stretches
    }

    /// Of rows of one time, those that stand, in order: of equal ids the one that was durable first; a server-timed row
    /// whose id stands at an earlier time already is none.
    mutating func standing(_ refs: [RowRef]) throws(StoreError) -> [RowRef] {
        var rows: [Row] = []
        for ref in refs {
            // What a row holds is looked up, which costs as much as many keys.
            try allowance.pass(Self.lookUpCost)
            var row = Row(ref: ref, id: try reader.id(ref))
            if isOrdered, row.id.isEmpty, refs.count > 1 { row.properties = Event.canonicalBytes(try reader.properties(ref)) }
            if !isForFile { try allowance.take(bytes: row.id.count + row.properties.count) }
            rows.append(row)
        }
        if !isOrdered, !isForFile, rows.allSatisfy(\.id.isEmpty) { return refs }
        try sort(&rows) { a, b in
            if a.id != b.id { return a.id < b.id }
            if a.properties != b.properties { return a.properties.lexicographicallyPrecedes(b.properties) }
            return reader.isEarlier(a.ref, than: b.ref)
        }
        var standing: [RowRef] = []
        var start = 0
        while start < rows.count {
            let id = rows[start].id
            var end = start + 1
            if !id.isEmpty { while end < rows.count, rows[end].id == id { end += 1 } }
            if !serverTimed || id.isEmpty {
                standing.append(rows[start].ref)
            } else {
                standing += try self.standing(of: rows[start..<end], id)
            }
            start = end
        }
        return standing
    }

    private static let lookUpCost = 16

    private func sort(_ rows: inout [Row], by areInOrder: (Row, Row) -> Bool) throws(StoreError) {
        do {
            try rows.sort { a, b in
                try allowance.pass(1)
                return areInOrder(a, b)
            }
        } catch {
            throw error as? StoreError ?? StoreError(.cancelled, "the caller gave up")
        }
    }

    private mutating func standing(of rows: ArraySlice<Row>, _ id: ByteString) throws(StoreError) -> [RowRef] {
        let isKnown = seen.contains(id)
        var found: [RowRef] = []
        var kinds: Set<Bool> = []
        for row in rows {
            let flagged = try reader.isServerTimed(row.ref)
            if flagged { seen.insert(id) }
            if flagged && isKnown { continue }
            let isNew = kinds.insert(flagged).inserted
            if found.isEmpty || (isForFile && isNew) { found.append(row.ref) }
        }
        return found
    }
}
