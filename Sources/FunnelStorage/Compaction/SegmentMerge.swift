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
        var ordinals = OrdinalCursor(snapshot.places)
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
                    group.ordinals.append(ordinals.ordinal(firstPlace + layout.place(list.keys[i])))
                    group.times.append(time)
                    group.refs.append(list.ref(i))
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
            try body(try loader.loadRowsForFile(0, places: start..<end), layout, start)
            start = end
        }
    }

    private func flush<Files: FileSystem>(_ group: inout Group, _ writer: inout SegmentWriter<Files>) throws(StoreError) {
        do throws(FileError) { try writer.beginGroup(ordinals: group.ordinals, times: group.times) } catch { throw StoreError(error) }
        try GroupColumns(snapshot, group.refs).each { (key, values) throws(StoreError) in
            do throws(FileError) { try writer.add(column: key, values) } catch { throw StoreError(error) }
        }
        group = Group()
    }
}
