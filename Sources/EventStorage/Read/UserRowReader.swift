import FunnelModel

/// Reads whole users, on one thread.
package final class UserRowReader {
    private let rows: UserRows?
    private let placesMax: Int
    private let rowsMax: Int

    init(_ scan: RowSelection, rowsMax: Int) {
        self.rowsMax = rowsMax
        guard let layout = scan.exactLayout else {
            rows = nil
            placesMax = 1
            return
        }
        rows = UserRows(scan, scan.reader(layout))
        placesMax = layout.placesMax
    }

    /// Calls `body` with each user of a range of places; false if `body` ended the scan.
    /// - Parameter tooMany: called with the place of a user that has more rows than may be read. The user is skipped, unless it throws.
    package func each(
        in places: Range<Int>, tooMany: (Int) throws -> Void = { _ in throw StoreError(.tooManyRows, "a user has too many events") },
        _ body: (UserRows) throws -> Bool
    ) throws -> Bool {
        guard let rows else { return true }
        var start = places.lowerBound
        while start < places.upperBound {
            start = try load(start..<min(places.upperBound, start + placesMax), into: rows, tooMany)
            while rows.next() { if try !body(rows) { return false } }
        }
        return true
    }

    /// Loads the users of a range, or as many of its first as may be read at once.
    /// - Returns: the place after the last of them.
    private func load(_ places: Range<Int>, into rows: UserRows, _ tooMany: (Int) throws -> Void) throws -> Int {
        do {
            try rows.load(places, rowsMax: rowsMax)
            return places.upperBound
        } catch let error where error.code == .tooManyRows {
            if places.count > 1 {
                return try load(places.lowerBound..<(places.lowerBound + places.count / 2), into: rows, tooMany)
            }
            rows.clear()
            try tooMany(places.lowerBound)
            return places.upperBound
        }
    }
}

/// The rows of one user during a scan. The same object is used for every user, so keep no reference to it.
package final class UserRows {
    private let scan: RowSelection
    private let keyReader: KeyReader
    /// Indexes of the names in byte order, which is the order of rows of one time.
    private let rank: [Int]
    private struct Row {
        var key: UInt64
        var ref: RowRef
        var event: Int32
    }

    private var rows: [Row] = []
    private var firstPlace = 0
    private var user = 0..<0

    init(_ scan: RowSelection, _ keyReader: KeyReader) {
        self.scan = scan
        self.keyReader = keyReader
        rank = scan.names.indices.sorted { scan.names[$0].name < scan.names[$1].name }
    }

    package var count: Int { user.count }
    package var place: Int { firstPlace + keyReader.layout.place(rows[user.lowerBound].key) }
    package var id: ByteString { scan.view.ids(ofPlaces: [place])[0] }

    /// Microseconds since 1970 UTC.
    package func time(_ i: Int) -> Int64 { keyReader.layout.time(rows[user.lowerBound + i].key) }

    /// The index of the event's name among the names of the selection.
    package func event(_ i: Int) -> Int { Int(rows[user.lowerBound + i].event) }

    package func ref(_ i: Int) -> RowRef { rows[user.lowerBound + i].ref }

    /// The value of a property; nil if the row has none.
    package func property(_ i: Int, _ key: ByteString) throws -> PropertyValue? { try keyReader.reader.property(ref(i), key) }

    /// The whole event.
    package func row(_ i: Int) throws -> Event {
        let ref = ref(i)
        return Event(
            user: id, name: scan.names[event(i)].name, time: time(i), id: try keyReader.reader.id(ref),
            serverTimed: try keyReader.reader.isServerTimed(ref), properties: try keyReader.reader.properties(ref))
    }

    /// Reads the rows of a slice of places; `next` then goes from user to user.
    func load(_ places: Range<Int>, rowsMax: Int) throws(StoreError) {
        clear()
        firstPlace = places.lowerBound
        keyReader.begin(rowsMax: rowsMax)
        var lists: [[Row]] = []
        for name in rank {
            let list = try keyReader.loadRows(name, places: places)
            if list.count > 0 { lists.append((0..<list.count).map { Row(key: list.keys[$0], ref: list.ref($0), event: Int32(name)) }) }
        }
        // Merges neighbours two by two; if times are equal, the earlier name comes first.
        while lists.count > 1 {
            lists = stride(from: 0, to: lists.count, by: 2).map { i in
                i + 1 < lists.count ? Self.merging(lists[i], lists[i + 1]) : lists[i]
            }
        }
        rows = lists.first ?? []
    }

    func clear() {
        user = 0..<0
        rows.removeAll()
    }

    /// Goes to the next user of the slice; false at its end.
    func next() -> Bool {
        let start = user.upperBound
        guard start < rows.count else { return false }
        let place = keyReader.layout.place(rows[start].key)
        var end = start + 1
        while end < rows.count, keyReader.layout.place(rows[end].key) == place { end += 1 }
        user = start..<end
        return true
    }

    private static func merging(_ a: [Row], _ b: [Row]) -> [Row] {
        var out: [Row] = []
        out.reserveCapacity(a.count + b.count)
        var i = 0
        var j = 0
        while i < a.count, j < b.count {
            let takesFirst = a[i].key <= b[j].key
            out.append(takesFirst ? a[i] : b[j])
            i += takesFirst ? 1 : 0
            j += takesFirst ? 0 : 1
        }
        out += a[i...]
        out += b[j...]
        return out
    }
}
