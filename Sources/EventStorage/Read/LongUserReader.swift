import FunnelModel

/// Reads the rows of one user in the order of time, name, id and property bytes, with a bounded number of them in memory.
final class LongUserReader {
    struct Row {
        var time: Int64
        /// Index among the names of the selection.
        var name: Int
        var ref: RowRef
    }

    private struct Key {
        var key: UInt64
        var ref: RowRef
    }

    /// The rows of one name in one source; those that were read and not returned yet are in `read`, from `at` on.
    private struct Stream {
        var name: Int
        var source: RunSource
        var cursor: SegmentCursor?
        /// Rows that were not read yet.
        var left: Range<Int>
        var read: [Key] = []
        var at = 0

        var last: UInt64? { at < read.count ? read[read.count - 1].key : nil }
    }

    private let selection: RowSelection
    private let place: Int
    private let layout: KeyLayout
    private let reader: RowReader
    private let allowance: ReadAllowance
    private var streams: [Stream] = []
    private var identities: [Int: EventIdentity] = [:]
    /// Place of a name in the order of names' bytes.
    private var rank: [Int]
    /// Rows before it are not needed, unless they are server-timed.
    private let from: Int64
    private let chunk: Int

    /// Rows in memory, roughly.
    private static let rowsMax = 1 << 17

    /// - Parameter from: rows with lower times may be left out.
    init(_ selection: RowSelection, _ place: Int, from: Int64) throws(StoreError) {
        self.selection = selection
        self.place = place
        self.from = from
        layout = selection.exactLayout ?? KeyLayout(unit: 1, base: 0, timeBits: 60)
        reader = RowReader(selection.view)
        allowance = ReadAllowance(selection.view.isCancelled)
        let order = selection.names.indices.sorted { selection.names[$0].name < selection.names[$1].name }
        rank = [Int](repeating: 0, count: order.count)
        for (place, name) in order.enumerated() { rank[name] = place }
        chunk = max(256, Self.rowsMax / max(1, selection.names.reduce(0) { $0 + $1.sources.count }))
        for (name, found) in selection.names.enumerated() {
            for source in found.sources { streams.append(try stream(name, source)) }
        }
    }

    /// The whole event of a row.
    func event(_ row: Row, user: ByteString) throws(StoreError) -> Event {
        Event(
            user: user, name: selection.names[row.name].name, time: row.time, id: try reader.id(row.ref),
            serverTimed: try reader.isServerTimed(row.ref), properties: try reader.properties(row.ref))
    }

    /// The next rows; nil after the last ones.
    func next() throws(StoreError) -> [Row]? {
        while true {
            for i in streams.indices where streams[i].last == nil { try fill(i) }
            // Rows below the lowest of the last keys are there from all sources.
            let horizon = streams.compactMap { $0.left.isEmpty ? nil : $0.last }.min()
            if horizon == nil, streams.allSatisfy({ $0.last == nil }) { return nil }
            let rows = take(below: horizon)
            if !rows.isEmpty { return try settled(rows) }
            // All that were read of a source have one time.
            for i in streams.indices where streams[i].last == horizon && !streams[i].left.isEmpty { try fill(i) }
        }
    }

    private func take(below horizon: UInt64?) -> [(key: Key, name: Int)] {
        var rows: [(key: Key, name: Int)] = []
        for i in streams.indices {
            while streams[i].at < streams[i].read.count {
                let key = streams[i].read[streams[i].at]
                if let horizon, key.key >= horizon { break }
                rows.append((key, streams[i].name))
                streams[i].at += 1
            }
        }
        return rows.sorted { $0.key.key != $1.key.key ? $0.key.key < $1.key.key : rank[$0.name] < rank[$1.name] }
    }

    /// Merges duplicates, and orders rows of one time and name.
    private func settled(_ rows: [(key: Key, name: Int)]) throws(StoreError) -> [Row] {
        var out: [Row] = []
        var start = 0
        while start < rows.count {
            let (key, name) = (rows[start].key.key, rows[start].name)
            var end = start + 1
            while end < rows.count, rows[end].key.key == key, rows[end].name == name { end += 1 }
            var refs = rows[start..<end].map(\.key.ref)
            if refs.count > 1 || selection.names[name].serverTimed { refs = try surviving(refs, name) }
            for ref in refs { out.append(Row(time: layout.time(key), name: name, ref: ref)) }
            start = end
        }
        return out
    }

    private func surviving(_ refs: [RowRef], _ name: Int) throws(StoreError) -> [RowRef] {
        var identity =
            identities.removeValue(forKey: name)
            ?? EventIdentity(
                reader, allowance, serverTimed: selection.names[name].serverTimed, timeBits: layout.timeBits, isForFile: false,
                isOrdered: true)
        let rows = try identity.surviving(refs)
        identities[name] = identity
        return rows
    }

    // MARK: - Sources

    private func stream(_ name: Int, _ source: RunSource) throws(StoreError) -> Stream {
        switch source {
        case .segment(_, let segment, let run):
            let cursor = SegmentCursor(segment, run, selection.places, layout)
            return Stream(name: name, source: source, cursor: cursor, left: try cursor.rows(ofPlaces: place..<(place + 1)))
        case .memory(_, let run, let rows):
            let ordinal = UInt32(truncatingIfNeeded: selection.places.ordinal(place))
            let end = ordinal == .max ? rows.upperBound : run.firstRow(in: rows, from: ordinal + 1)
            return Stream(name: name, source: source, left: run.firstRow(in: rows, from: ordinal)..<end)
        }
    }

    /// Reads further rows of a source, until some are found or it ends.
    private func fill(_ i: Int) throws(StoreError) {
        var found = Array(streams[i].read[streams[i].at...])
        let before = found.count
        while found.count == before, !streams[i].left.isEmpty {
            let left = streams[i].left
            let part = left.lowerBound..<min(left.upperBound, left.lowerBound + chunk)
            streams[i].left = part.upperBound..<left.upperBound
            try allowance.pass(part.count)
            for key in try read(streams[i], part) where isNeeded(key.key, streams[i].name) { found.append(key) }
        }
        streams[i].read = found
        streams[i].at = 0
    }

    private func isNeeded(_ key: UInt64, _ name: Int) -> Bool { selection.names[name].serverTimed || layout.time(key) >= from }

    private func read(_ stream: Stream, _ rows: Range<Int>) throws(StoreError) -> [Key] {
        switch stream.source {
        case .segment(let number, _, _):
            guard let cursor = stream.cursor else { return [] }
            var list = KeyList()
            var first = 0
            try unsafe list.fill(capacity: rows.count) { target throws(StoreError) in
                let mine = try unsafe cursor.keys(of: rows, places: place..<(place + 1), to: target)
                first = mine.lowerBound
                return mine.count
            }
            return (0..<list.count).map { Key(key: list[$0], ref: RowRef(source: number, row: first + $0)) }
        case .memory(let number, let run, _):
            return rows.map { row in
                Key(key: UInt64(bitPattern: run.time[row] / layout.unit &- layout.base), ref: RowRef(source: number, row: row))
            }
        }
    }
}
