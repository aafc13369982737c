import FunnelModel

/// Decides which rows of an event name are one event, and which of them survives (`Protocol/SEGMENT.md`, "Reading").
struct EventIdentity {
    private let reader: RowReader
    private let allowance: ReadAllowance
    private let serverTimed: Bool
    private let timeBits: Int
    /// Whether the rows are for a file. Then, of equal ids, a server-timed row and another one both stay, since a row in
    /// another file may yet remove the server-timed one.
    private let isForFile: Bool
    /// Whether rows of one time without ids are ordered by their properties. This does not change which rows survive.
    private let isOrdered: Bool
    /// Ids of the current user's server-timed rows so far.
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

    /// Reduces the rows of a slice to those that survive.
    mutating func settle(_ list: inout RowList) throws(StoreError) {
        // If rows are server-timed, any rows of a user may be one event; otherwise only rows of one time.
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

    /// The surviving rows among rows of one user, name and time, in order. Of rows with equal ids, the one that became
    /// durable first survives. A server-timed row does not survive if an earlier server-timed row has its id.
    mutating func surviving(_ refs: [RowRef]) throws(StoreError) -> [RowRef] {
        var rows: [Row] = []
        for ref in refs {
            // Reading the columns of a row costs as much as reading many keys.
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
