import FunnelModel

/// Writes the rows of a view, all of one month, as one segment file: rows of the memtable for a seal, of segment files for a
/// merge. Duplicates are merged, and rows of suppressed users are left out.
struct SegmentMerge {
    private let view: StoreView
    /// Rows that are read at a time, roughly.
    private static let sliceRows = 65_536

    init(_ view: StoreView) { self.view = view }

    private struct Group {
        var ordinals: [UInt32] = []
        var times: [Int64] = []
        var refs: [RowRef] = []
    }

    /// Writes the file.
    /// - Returns: nil if no row is left; then the caller removes the file.
    func write<Files: FileSystem>(
        to open: () throws(FileError) -> SegmentWriter<Files>
    ) throws(StoreError) -> SegmentRecord? {
        var writer = try io(open)
        var group = Group()
        var ordinals = OrdinalCursor(view.places)
        var rows = 0
        for name in view.names {
            let scan = view.selection([name])
            guard let span = scan.times else { continue }
            let before = rows
            var times = (least: Int64.max, greatest: Int64.min)
            try eachSlice(of: scan, span) { (list, layout, firstPlace) throws(StoreError) in
                for i in 0..<list.count {
                    let time = layout.time(list.keys[i])
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
                run: name, rows: rows - before, times: times,
                unit: TimeUnit.allCases.first { $0.microseconds == scan.unit } ?? .microsecond,
                serverTimed: scan.isServerTimed(0))
        }
        if rows == 0 { return nil }
        if !group.refs.isEmpty { try flush(&group, &writer) }
        do throws(FileError) { return try writer.finish() } catch { throw StoreError(error) }
    }

    private func eachSlice(
        of scan: RowSelection, _ times: ClosedRange<Int64>, _ body: (RowList, KeyLayout, Int) throws(StoreError) -> Void
    ) throws(StoreError) {
        let span = UInt64(times.upperBound / scan.unit - times.lowerBound / scan.unit)
        let layout = KeyLayout(unit: scan.unit, base: times.lowerBound / scan.unit, timeBits: 64 - span.leadingZeroBitCount)
        let keyReader = scan.reader(layout)
        let users = view.places.users
        let slice = max(1, min(layout.placesMax, users / (scan.rows(0) / Self.sliceRows + 1) + 1))
        var start = 0
        while start < users {
            let end = min(users, start + slice)
            try body(try keyReader.loadRowsForFile(0, places: start..<end), layout, start)
            start = end
        }
    }

    private func flush<Files: FileSystem>(_ group: inout Group, _ writer: inout SegmentWriter<Files>) throws(StoreError) {
        do throws(FileError) { try writer.beginGroup(ordinals: group.ordinals, times: group.times) } catch { throw StoreError(error) }
        try GroupColumns(view, group.refs).each { (key, values) throws(StoreError) in
            do throws(FileError) { try writer.add(column: key, values) } catch { throw StoreError(error) }
        }
        group = Group()
    }
}
