import FunnelModel

/// Reads the keys and rows of a selection, on one thread. It is fastest if slices ascend.
package final class KeyReader {
    private let scan: RowSelection
    package let layout: KeyLayout
    private var cursors: [[SegmentCursor?]]
    private var buffers = KeyBuffers()
    /// Suppressed users' places, ascending.
    private let suppressed: [Int]
    package let reader: RowReader
    private let allowance: ReadAllowance

    init(_ scan: RowSelection, _ layout: KeyLayout) {
        self.scan = scan
        self.layout = layout
        suppressed = scan.view.suppressed.map { scan.view.places.place($0) }.sorted()
        reader = RowReader(scan.view)
        allowance = ReadAllowance(scan.view.isCancelled)
        cursors = scan.names.map { name in
            name.sources.map { source in
                guard case .segment(_, let segment, let run) = source else { return nil }
                return SegmentCursor(segment, run, scan.view.places, layout)
            }
        }
    }

    /// Call before each slice: sets the max rows that may be read of it, all names together. Reading more throws `.tooManyRows`.
    package func begin(rowsMax: Int) { allowance.begin(rowsMax: rowsMax) }

    /// Loads the keys of all rows of some names in a slice of places, ascending, including duplicates.
    /// - Returns: the row of the first key, if the keys are those of consecutive rows; nil if there are several sources, or
    ///   rows were left out.
    @discardableResult
    package func load(_ names: [Int], places: Range<Int>, into list: inout KeyList) throws(StoreError) -> RowRef? {
        buffers.clear()
        let sources = sources(of: names)
        var first: RowRef?
        if sources.count == 1 {
            first = try read(sources[0].name, sources[0].source, places, into: &list)
        } else {
            for (name, source) in sources {
                var keys = buffers.take()
                _ = try read(name, source, places, into: &keys)
                buffers.add(keys)
            }
            buffers.merge(into: &list)
        }
        let count = list.count
        if !suppressed.isEmpty { dropSuppressed(places, &list) }
        return list.count == count ? first : nil
    }

    /// Loads the keys of the rows of a name that meet conditions, ascending. May include duplicates, except when a duplicate
    /// meets the conditions and the surviving row does not. The name must have no server-timed rows.
    package func load(_ name: Int, places: Range<Int>, where conditions: RowConditions, into list: inout KeyList) throws(StoreError) {
        buffers.clear()
        for source in scan.names[name].sources.indices {
            var keys = buffers.take()
            _ = try read(name, source, places, into: &keys, where: conditions)
            buffers.add(keys)
        }
        buffers.merge(into: &list)
        let disputed = list.keepMarked()
        if !disputed.isEmpty {
            var rows = try loadRows(name, places: places, isForFile: false, isOrdered: false, among: disputed)
            try conditions.filter(&rows)
            buffers.add(list)
            buffers.add(rows.keys)
            buffers.merge(into: &list)
        }
        if suppressed.isEmpty { return }
        dropSuppressed(places, &list)
    }

    /// The rows of the keys that `load` reads, with their references; equal keys are in no order.
    package func loadAll(_ names: [Int], places: Range<Int>) throws(StoreError) -> RowList {
        var list = try merged(sources(of: names), places)
        if !suppressed.isEmpty { list.keepRows { key, _ in !isSuppressed(key, places) } }
        return list
    }

    private func sources(of names: [Int]) -> [(name: Int, source: Int)] {
        names.flatMap { name in scan.names[name].sources.indices.map { (name, $0) } }
    }

    /// Reads one source, and returns the row of the first key. With conditions, every key gets a mark, which is 1 if they hold.
    private func read(
        _ name: Int, _ source: Int, _ places: Range<Int>, into list: inout KeyList, where conditions: RowConditions? = nil
    ) throws(StoreError) -> RowRef? {
        switch scan.names[name].sources[source] {
        case .segment(let number, _, _):
            guard let cursor = cursors[name][source] else { return nil }
            let rows = try cursor.rows(ofPlaces: places)
            try allowance.require(rows.count)
            var first = 0
            try unsafe list.fill(capacity: rows.count) { target throws(StoreError) in
                let mine = try unsafe cursor.keys(of: rows, places: places, to: target)
                first = mine.lowerBound
                return mine.count
            }
            try allowance.take(list.count)
            try conditions?.mark(&list, segment: number, firstRow: first)
            return RowRef(source: number, row: first)
        case .memory(let number, let run, let rows):
            let mine = self.rows(of: run, rows, places)
            try allowance.take(mine.count)
            unsafe list.fill(capacity: mine.count) { target in
                unsafe compose(run, mine, places.lowerBound, target)
                return mine.count
            }
            conditions?.mark(&list, run, firstRow: mine.lowerBound)
            return RowRef(source: number, row: mine.lowerBound)
        }
    }

    private func rows(of run: RowRun, _ rows: Range<Int>, _ places: Range<Int>) -> Range<Int> {
        let map = scan.view.places
        let from = run.firstRow(in: rows, from: UInt32(truncatingIfNeeded: min(map.ordinal(places.lowerBound), UInt64(UInt32.max))))
        if places.upperBound >= map.users { return from..<rows.upperBound }
        return from..<run.firstRow(in: rows, from: UInt32(truncatingIfNeeded: map.ordinal(places.upperBound)))
    }

    private func compose(_ run: RowRun, _ rows: Range<Int>, _ firstPlace: Int, _ target: UnsafeMutablePointer<UInt64>) {
        var i = 0
        for row in rows {
            unsafe target[i] = key(run.ordinal[row], run.time[row], firstPlace)
            i &+= 1
        }
    }

    @inline(__always) private func key(_ ordinal: UInt32, _ time: Int64, _ firstPlace: Int) -> UInt64 {
        let place = UInt64(truncatingIfNeeded: scan.view.places.place(ordinal) &- firstPlace)
        let tick = UInt64(bitPattern: (layout.unit == 1 ? time : time / layout.unit) &- layout.base)
        return (place &<< UInt64(layout.timeBits) &+ tick) & KeyLayout.mask
    }

    private func isSuppressed(_ key: UInt64, _ places: Range<Int>) -> Bool {
        let place = layout.place(key) + places.lowerBound
        let i = suppressed.indices.partitioningIndex { suppressed[$0] >= place }
        return i < suppressed.count && suppressed[i] == place
    }

    private func dropSuppressed(_ places: Range<Int>, _ list: inout KeyList) {
        let kept = (0..<list.count).map { list[$0] }.filter { !isSuppressed($0, places) }
        if kept.count == list.count { return }
        list = KeyList(kept)
    }

    /// The rows of one name in a slice of places: duplicates merged, suppressed users left out. The layout's unit must be
    /// exact for all of the name's times.
    /// - Parameter isOrdered: whether equal keys come in the order of event id, property bytes and durability.
    package func loadRows(_ name: Int, places: Range<Int>, isOrdered: Bool = true) throws(StoreError) -> RowList {
        try loadRows(name, places: places, isForFile: false, isOrdered: isOrdered)
    }

    /// The first of some rows of one user and time, in the order of name, event id, property bytes and durability.
    /// - Parameter names: the names that the rows may have, ascending.
    package func first(of refs: [RowRef], names: [Int]) throws(StoreError) -> RowRef {
        for name in names {
            let mine = refs.filter { ref in scan.names[name].sources.contains { $0.contains(ref) } }
            if mine.isEmpty { continue }
            var identity = EventIdentity(
                reader, allowance, serverTimed: false, timeBits: layout.timeBits, isForFile: false, isOrdered: true)
            return try identity.surviving(mine).first ?? mine[0]
        }
        return refs[0]
    }

    /// The rows of one name that a seal or merge writes.
    func loadRowsForFile(_ name: Int, places: Range<Int>) throws(StoreError) -> RowList {
        try loadRows(name, places: places, isForFile: true, isOrdered: false)
    }

    /// The surviving rows of one name.
    /// - Parameter wanted: ascending keys, of which all rows are to be read; nil is all keys.
    private func loadRows(
        _ name: Int, places: Range<Int>, isForFile: Bool, isOrdered: Bool, among wanted: [UInt64]? = nil
    ) throws(StoreError) -> RowList {
        var list = try merged(sources(of: [name]), places, among: wanted)
        if !suppressed.isEmpty { list.keepRows { key, _ in !isSuppressed(key, places) } }
        let serverTimed = scan.names[name].serverTimed
        guard serverTimed || list.hasTies else { return list }
        var identity = EventIdentity(
            reader, allowance, serverTimed: serverTimed, timeBits: layout.timeBits, isForFile: isForFile, isOrdered: isOrdered)
        try identity.settle(&list)
        return list
    }

    private func merged(
        _ sources: [(name: Int, source: Int)], _ places: Range<Int>, among wanted: [UInt64]? = nil
    ) throws(StoreError) -> RowList {
        var lists: [RowList] = []
        for (name, source) in sources {
            var list = try readRows(name, source, places)
            if let wanted { list.keep(among: wanted) }
            if list.count > 0 { lists.append(list) }
        }
        return RowList.merging(lists)
    }

    private func readRows(_ name: Int, _ source: Int, _ places: Range<Int>) throws(StoreError) -> RowList {
        var list = RowList()
        switch scan.names[name].sources[source] {
        case .segment(let number, _, _):
            guard let cursor = cursors[name][source] else { return list }
            let rows = try cursor.rows(ofPlaces: places)
            try allowance.require(rows.count)
            try unsafe list.fill(capacity: rows.count) { keys, refs throws(StoreError) in
                let mine = try unsafe cursor.keys(of: rows, places: places, to: keys)
                let first = RowRef(source: number, row: mine.lowerBound).bits
                for i in 0..<mine.count { unsafe refs[i] = first &+ UInt64(truncatingIfNeeded: i) }
                return mine.count
            }
            try allowance.take(list.count)
        case .memory(let number, let run, let rows):
            let mine = self.rows(of: run, rows, places)
            try allowance.take(mine.count)
            unsafe list.fill(capacity: mine.count) { keys, refs in
                unsafe compose(run, mine, places.lowerBound, keys)
                let first = RowRef(source: number, row: mine.lowerBound).bits
                for i in 0..<mine.count { unsafe refs[i] = first &+ UInt64(truncatingIfNeeded: i) }
                return mine.count
            }
        }
        return list
    }
}
