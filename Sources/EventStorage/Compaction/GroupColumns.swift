import FunnelModel

/// The columns of a group of rows, read from the memtable or from segment files. Rows of one batch or one segment file are
/// read together, so that each source is read once; the values are put in order at the end.
struct GroupColumns {
    private let view: StoreView
    private let rows: Int
    /// Rows of the group by source: those of source `s` are `starts[s]..<starts[s + 1]`, ascending.
    private var starts: [Int]
    /// The row's number in the group, and in its source.
    private var places: [UInt32]
    private var sourceRows: [UInt32]

    private var readsMemory: Bool { view.segments.isEmpty }

    /// Groups the rows by source; `refs` are the rows of the group, in order.
    init(_ view: StoreView, _ refs: [RowRef]) {
        self.view = view
        rows = refs.count
        let isMemory = view.segments.isEmpty
        let sources = isMemory ? view.memtable.batches.count : view.segments.count
        var source = [UInt32](repeating: 0, count: refs.count)
        var row = source
        for (i, ref) in refs.enumerated() {
            source[i] = UInt32(truncatingIfNeeded: ref.source)
            row[i] = UInt32(truncatingIfNeeded: ref.row)
        }
        if isMemory { Self.resolve(view.memtable, &source, &row) }
        starts = [Int](repeating: 0, count: sources + 1)
        for s in source { starts[Int(s) + 1] += 1 }
        for s in 0..<sources { starts[s + 1] += starts[s] }
        var next = starts
        places = [UInt32](repeating: 0, count: refs.count)
        sourceRows = places
        for i in refs.indices {
            let at = next[Int(source[i])]
            next[Int(source[i])] += 1
            places[at] = UInt32(truncatingIfNeeded: i)
            sourceRows[at] = row[i]
        }
    }

    /// Turns rows of the memtable's runs into rows of its batches.
    private static func resolve(_ memtable: Memtable, _ source: inout [UInt32], _ row: inout [UInt32]) {
        for (number, run) in memtable.runs.enumerated() {
            let batches = run.batch
            let rows = run.row
            for i in source.indices where source[i] & resolved == 0 && source[i] == UInt32(number) {
                source[i] = resolved | (batches[Int(row[i])] &- memtable.firstBatch)
                row[i] = rows[Int(row[i])]
            }
        }
        for i in source.indices { source[i] &= ~resolved }
    }

    private static let resolved: UInt32 = 1 << 31

    /// Calls `body` with each column that has a value in the group, by kind and key, rows ascending from the group's first.
    func each(_ body: (ColumnKey, ColumnValues) throws(StoreError) -> Void) throws(StoreError) {
        if readsMemory { return try eachFromMemory(body) }
        var keys: Set<ColumnKey> = []
        for segment in view.segments { keys.formUnion(segment.footer.columns.map(\.key)) }
        for key in keys.sorted(by: { ($0.kind, $0.bytes) < ($1.kind, $1.bytes) }) {
            let values = try fromSegments(key)
            if !values.rows.isEmpty { try body(key, values.inOrder(rows: rows)) }
        }
    }

    private func fromSegments(_ key: ColumnKey) throws(StoreError) -> ColumnValues {
        var out = ColumnValues()
        for (number, segment) in view.segments.enumerated() where segment.hasColumn(key) {
            var i = starts[number]
            while i < starts[number + 1] {
                let page = Int(sourceRows[i]) / KeyPage.rows
                var end = i
                while end < starts[number + 1], Int(sourceRows[end]) / KeyPage.rows == page { end += 1 }
                let values = try segment.column(key, page: page)
                guard out.strings.hasRoom(for: values.strings.heap.count) else {
                    throw StoreError(.tooLarge, "a column of \(rows) rows has more than 4 GiB of strings")
                }
                out.append(values, of: sourceRows[i..<end], at: places[i..<end], firstRow: page * KeyPage.rows)
                i = end
            }
        }
        return out
    }

    private func eachFromMemory(_ body: (ColumnKey, ColumnValues) throws(StoreError) -> Void) throws(StoreError) {
        var ids = ColumnValues()
        var serverTimed = ColumnValues()
        var keys: [ByteString: Int] = [:]
        var columns: [ColumnValues] = []
        for number in 0..<(starts.count - 1) where starts[number] < starts[number + 1] {
            let range = starts[number]..<starts[number + 1]
            let batch = view.memtable.batches[number].batch
            let columnOf = (0..<batch.keys.count).map { code in
                let key = batch.keys[code]
                if let known = keys[key] { return known }
                keys[key] = columns.count
                columns.append(ColumnValues())
                return columns.count - 1
            }
            takeIdentity(of: batch, range, &ids, &serverTimed)
            takeProperties(of: batch, range, columnOf, &columns)
        }
        if !ids.rows.isEmpty { try body(.ids, ids.inOrder(rows: rows)) }
        if !serverTimed.rows.isEmpty { try body(.serverTimed, serverTimed.inOrder(rows: rows)) }
        for (key, column) in keys.sorted(by: { $0.key < $1.key }) where !columns[column].rows.isEmpty {
            try body(.property(key), columns[column].inOrder(rows: rows))
        }
    }

    private func takeIdentity(
        of batch: EventBatch, _ range: Range<Int>, _ ids: inout ColumnValues, _ serverTimed: inout ColumnValues
    ) {
        for i in range {
            let row = Int(sourceRows[i])
            if !batch.ids.isEmpty(row) { ids.append(row: places[i], string: batch.ids.slice(row)) }
            if batch.flags[row] & EventBatch.serverTimedFlag != 0 { serverTimed.append(row: places[i], tag: EventBatch.Tag.bool, bits: 1) }
        }
    }

    /// A string of the batch is copied once for each column that has it.
    private func takeProperties(of batch: EventBatch, _ range: Range<Int>, _ columnOf: [Int], _ columns: inout [ColumnValues]) {
        let start = batch.propertyStart.span
        let keys = batch.propertyKey.span
        let tags = batch.propertyTag.span
        let bits = batch.propertyBits.span
        var copies = StringCopies(of: batch.strings.count, rows: range.count)
        for i in range {
            let row = Int(sourceRows[i])
            for p in Int(start[row])..<Int(start[row + 1]) {
                let column = columnOf[Int(keys[p])]
                guard tags[p] == EventBatch.Tag.string else {
                    columns[column].append(row: places[i], tag: tags[p], bits: bits[p])
                    continue
                }
                let string = Int(bits[p])
                var copy = copies[string]
                if copy >> 32 != UInt64(column) {
                    copy = UInt64(column) << 32 | UInt64(columns[column].strings.count)
                    copies[string] = copy
                    columns[column].strings.append(batch.strings.slice(string))
                }
                columns[column].append(row: places[i], tag: EventBatch.Tag.string, bits: copy & 0xFFFF_FFFF)
            }
        }
    }
}

/// Where each string of a batch was copied to last: the column in the upper 32 bits, the string's number there in the lower.
/// So a string that two properties have is copied for each.
private struct StringCopies {
    private var all: [UInt64] = []
    private var few: [Int: UInt64] = [:]

    /// No copies yet, of `strings` strings.
    /// - Parameter rows: rows of the batch that are read; if they are few, only the copies made are kept.
    init(of strings: Int, rows: Int) {
        if strings <= 16 * rows { all = [UInt64](repeating: .max, count: strings) }
    }

    subscript(string: Int) -> UInt64 {
        get { all.isEmpty ? few[string] ?? .max : all[string] }
        set { if all.isEmpty { few[string] = newValue } else { all[string] = newValue } }
    }
}

extension ColumnValues {
    /// Adds a page's values of some of its rows. `wanted` are their numbers in the segment file, of which `firstRow` is the
    /// page's first; `places` are their new numbers.
    fileprivate mutating func append(_ page: ColumnValues, of wanted: ArraySlice<UInt32>, at places: ArraySlice<UInt32>, firstRow: Int) {
        if page.rows.isEmpty { return }
        let firstString = UInt64(strings.count)
        var usesStrings = false
        var at = 0
        for (row, place) in zip(wanted, places) {
            let inPage = row - UInt32(firstRow)
            while at < page.rows.count, page.rows[at] < inPage { at += 1 }
            guard at < page.rows.count, page.rows[at] == inPage else { continue }
            let isString = page.tags[at] == EventBatch.Tag.string
            usesStrings = usesStrings || isString
            append(row: place, tag: page.tags[at], bits: isString ? firstString + page.bits[at] : page.bits[at])
        }
        if usesStrings { for i in 0..<page.strings.count { strings.append(page.strings.slice(i)) } }
    }

    /// The same values, rows ascending.
    fileprivate consuming func inOrder(rows count: Int) -> ColumnValues {
        var isAscending = true
        for i in rows.indices.dropFirst() where rows[i] <= rows[i - 1] {
            isAscending = false
            break
        }
        if isAscending { return self }
        var slots = [Int32](repeating: -1, count: count)
        for (i, row) in rows.enumerated() { slots[Int(row)] = Int32(truncatingIfNeeded: i) }
        var ordered = ColumnValues()
        ordered.rows.reserveCapacity(rows.count)
        ordered.tags.reserveCapacity(rows.count)
        ordered.bits.reserveCapacity(rows.count)
        for (row, slot) in slots.enumerated() where slot >= 0 {
            ordered.append(row: UInt32(truncatingIfNeeded: row), tag: tags[Int(slot)], bits: bits[Int(slot)])
        }
        ordered.strings = strings
        return ordered
    }
}
