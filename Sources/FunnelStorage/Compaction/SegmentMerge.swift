import FunnelModel

/// Writes the rows of one month of a snapshot as one segment: of the memtable for a seal, of several segments for a merge.
/// Repeats are merged and hidden users' rows left out on the way.
struct SegmentMerge {
    private let snapshot: Snapshot
    private let month: Int
    /// Rows that are read at a time, roughly.
    private static let sliceRows = 65_536

    init(_ snapshot: Snapshot, month: Int) {
        self.snapshot = snapshot
        self.month = month
    }

    /// The months that have rows, ascending.
    static func months(of snapshot: Snapshot) throws(StoreError) -> [Int] {
        var months = Set(snapshot.segments.map(\.record.month))
        var known = Int64.max..<Int64.max
        for run in snapshot.memtable.runs {
            for time in run.time where !known.contains(time) {
                let month = SegmentFormat.month(of: time)
                months.insert(month)
                known = range(ofMonth: month)
            }
        }
        return months.sorted()
    }

    /// Microseconds from a month's beginning to its end.
    private static func range(ofMonth month: Int) -> Range<Int64> {
        func start(_ month: Int) -> Int64 { Timestamp.days(year: Int64(month / 12), month: Int64(month % 12 + 1), day: 1) * 86_400_000_000 }
        return start(month)..<start(month + 1)
    }

    private struct Group {
        var ordinals: [UInt32] = []
        var times: [Int64] = []
        var refs: [RowRef] = []
    }

    /// - Returns: nil where no row is left; the file is then to be removed.
    func write<Files: FileSystem>(
        to open: () throws(FileError) -> SegmentWriter<Files>
    ) throws(StoreError) -> SegmentRecord? {
        var writer = try io(open)
        var group = Group()
        let inMonth = Self.range(ofMonth: month)
        var rows = 0
        for name in snapshot.names {
            let scan = snapshot.keyScan([name])
            guard let span = scan.times, span.overlaps(inMonth.lowerBound...(inMonth.upperBound - 1)) else { continue }
            let before = rows
            var times = (least: Int64.max, greatest: Int64.min)
            try eachSlice(of: scan, span) { (list, layout, firstPlace) throws(StoreError) in
                for i in 0..<list.count {
                    let time = layout.time(list.keys[i])
                    guard inMonth.contains(time) else { continue }
                    times = (min(times.least, time), max(times.greatest, time))
                    group.ordinals.append(UInt32(truncatingIfNeeded: snapshot.places.ordinal(firstPlace + layout.place(list.keys[i]))))
                    group.times.append(time)
                    group.refs.append(list.refs[i])
                    rows += 1
                    if group.refs.count == SegmentWriter<Files>.groupRows { try flush(&group, &writer) }
                }
            }
            if rows == before { continue }
            writer.add(
                run: name, rows: rows - before, times: times, unit: TimeUnit.allCases.first { $0.microseconds == scan.unit } ?? .microsecond,
                serverTimed: scan.isServerTimed(0))
        }
        if rows == 0 { return nil }
        if !group.refs.isEmpty { try flush(&group, &writer) }
        do throws(FileError) { return try writer.finish() } catch { throw StoreError(error) }
    }

    private func eachSlice(
        of scan: KeyScan, _ times: ClosedRange<Int64>, _ body: (RowList, KeyLayout, Int) throws(StoreError) -> Void
    ) throws(StoreError) {
        let span = UInt64(times.upperBound / scan.unit - times.lowerBound / scan.unit)
        let layout = KeyLayout(unit: scan.unit, base: times.lowerBound / scan.unit, timeBits: 64 - span.leadingZeroBitCount)
        let loader = scan.loader(layout)
        let users = snapshot.places.users
        let slice = max(1, min(layout.placesMax, users / (scan.rows(0) / Self.sliceRows + 1) + 1))
        var start = 0
        while start < users {
            let end = min(users, start + slice)
            try body(try loader.loadRows(0, places: start..<end, isForFile: true), layout, start)
            start = end
        }
    }

    private func flush<Files: FileSystem>(_ group: inout Group, _ writer: inout SegmentWriter<Files>) throws(StoreError) {
        do throws(FileError) { try writer.beginGroup(ordinals: group.ordinals, times: group.times) } catch { throw StoreError(error) }
        let columns = GroupColumns(snapshot)
        try columns.each(of: group.refs) { (key, values) throws(StoreError) in
            do throws(FileError) { try writer.add(column: key, values) } catch { throw StoreError(error) }
        }
        group = Group()
    }
}

/// The columns of a group of rows, from where the rows stand now.
struct GroupColumns {
    private let snapshot: Snapshot

    init(_ snapshot: Snapshot) { self.snapshot = snapshot }

    func each(of refs: [RowRef], _ body: (ColumnKey, ColumnValues) throws(StoreError) -> Void) throws(StoreError) {
        guard !snapshot.segments.isEmpty else { return try eachFromMemory(refs, body) }
        var keys: Set<ColumnKey> = []
        for segment in snapshot.segments { keys.formUnion(segment.footer.columns.map(\.key)) }
        for key in keys.sorted(by: { ($0.kind, $0.bytes) < ($1.kind, $1.bytes) }) {
            let values = try fromSegments(key, refs)
            if !values.rows.isEmpty { try body(key, values) }
        }
    }

    private struct Page {
        var number = -1
        var values = ColumnValues()
        var slots = [Int32](repeating: -1, count: KeyPage.rows)
        /// The place of each of the page's strings among those of the group; -1 is none yet.
        var places: [Int32] = []
    }

    /// Rows of one segment come in order, so each page is read once.
    private func fromSegments(_ key: ColumnKey, _ refs: [RowRef]) throws(StoreError) -> ColumnValues {
        var pages = snapshot.segments.map { $0.hasColumn(key) ? Page() : nil }
        var out = ColumnValues()
        for (i, ref) in refs.enumerated() {
            let source = ref.source
            guard let number = pages[source]?.number else { continue }
            if number != ref.row / KeyPage.rows { try load(key, source, ref.row / KeyPage.rows, &pages) }
            guard let slot = pages[source]?.slots[ref.row % KeyPage.rows], slot >= 0 else { continue }
            let row = UInt32(truncatingIfNeeded: i)
            let bits = pages[source]?.values.bits[Int(slot)] ?? 0
            let tag = pages[source]?.values.tags[Int(slot)] ?? 0
            guard tag == EventBatch.Tag.string else {
                out.append(row: row, tag: tag, bits: bits)
                continue
            }
            // A text that a page holds once is copied once, however many rows have it.
            if pages[source]?.places[Int(bits)] ?? 0 < 0 {
                pages[source]?.places[Int(bits)] = Int32(truncatingIfNeeded: out.strings.count)
                out.strings.append(pages[source]?.values.strings.slice(Int(bits)) ?? [])
            }
            out.append(row: row, tag: tag, bits: UInt64(pages[source]?.places[Int(bits)] ?? 0))
        }
        return out
    }

    private func load(_ key: ColumnKey, _ source: Int, _ number: Int, _ pages: inout [Page?]) throws(StoreError) {
        var page = Page()
        page.number = number
        page.values = try snapshot.segments[source].column(key, page: number)
        for (i, row) in page.values.rows.enumerated() { page.slots[Int(row)] = Int32(truncatingIfNeeded: i) }
        page.places = [Int32](repeating: -1, count: page.values.strings.count)
        pages[source] = page
    }

    private func eachFromMemory(_ refs: [RowRef], _ body: (ColumnKey, ColumnValues) throws(StoreError) -> Void) throws(StoreError) {
        var ids = ColumnValues()
        var serverTimed = ColumnValues()
        var keys: [ByteString: Int] = [:]
        var columns: [ColumnValues] = []
        /// Columns by a batch's own key codes.
        var columnOfCode: [[Int]] = Array(repeating: [], count: snapshot.memtable.batches.count)
        // A text that a batch holds once is copied once, however many rows have it: all columns share one table.
        var strings = StringTable()
        var placeOfString: [[Int32]] = columnOfCode.map { _ in [] }
        for (i, ref) in refs.enumerated() {
            let row = UInt32(truncatingIfNeeded: i)
            let run = snapshot.memtable.runs[ref.source]
            let number = Int(run.batch[ref.row] &- snapshot.memtable.firstBatch)
            let stored = snapshot.memtable.batches[number]
            let place = Int(run.row[ref.row])
            if columnOfCode[number].isEmpty, stored.batch.keys.count > 0 {
                columnOfCode[number] = (0..<stored.batch.keys.count).map { code in
                    let key = stored.batch.keys[code]
                    if let known = keys[key] { return known }
                    keys[key] = columns.count
                    columns.append(ColumnValues())
                    return columns.count - 1
                }
                placeOfString[number] = Array(repeating: -1, count: stored.batch.strings.count)
            }
            if !stored.batch.ids.isEmpty(place) { ids.append(row: row, string: stored.id(place)) }
            if stored.isServerTimed(place) { serverTimed.append(row: row, tag: EventBatch.Tag.bool, bits: 1) }
            let batch = stored.batch
            for p in Int(batch.propertyStart[place])..<Int(batch.propertyStart[place + 1]) {
                let column = columnOfCode[number][Int(batch.propertyKey[p])]
                var bits = batch.propertyBits[p]
                if batch.propertyTag[p] == EventBatch.Tag.string {
                    let code = Int(bits)
                    if placeOfString[number][code] < 0 {
                        placeOfString[number][code] = Int32(truncatingIfNeeded: strings.count)
                        strings.append(batch.strings.slice(code))
                    }
                    bits = UInt64(placeOfString[number][code])
                }
                columns[column].append(row: row, tag: batch.propertyTag[p], bits: bits)
            }
        }
        for column in columns.indices { columns[column].strings = strings }
        if !ids.rows.isEmpty { try body(.ids, ids) }
        if !serverTimed.rows.isEmpty { try body(.serverTimed, serverTimed) }
        for (key, column) in keys.sorted(by: { $0.key < $1.key }) where !columns[column].rows.isEmpty {
            try body(.property(key), columns[column])
        }
    }
}
