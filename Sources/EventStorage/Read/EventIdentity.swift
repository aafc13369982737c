import FunnelModel

/// Which of a name's rows are one event (`Protocol/SEGMENT.md`, "Reading").
struct EventIdentity {
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
            let surviving = try self.surviving(rows.map(list.ref))
            for (i, ref) in surviving.enumerated() { list.replace(rows.lowerBound + i, by: ref) }
            if surviving.count == rows.count { continue }
            if flags.isEmpty { flags = [UInt8](repeating: 1, count: list.count) }
            for i in (rows.lowerBound + surviving.count)..<rows.upperBound { flags[i] = 0 }
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
    mutating func surviving(_ refs: [RowRef]) throws(StoreError) -> [RowRef] {
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
        var surviving: [RowRef] = []
        var start = 0
        while start < rows.count {
            let id = rows[start].id
            var end = start + 1
            if !id.isEmpty { while end < rows.count, rows[end].id == id { end += 1 } }
            if !serverTimed || id.isEmpty {
                surviving.append(rows[start].ref)
            } else {
                surviving += try self.surviving(of: rows[start..<end], id)
            }
            start = end
        }
        return surviving
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

    private mutating func surviving(of rows: ArraySlice<Row>, _ id: ByteString) throws(StoreError) -> [RowRef] {
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
