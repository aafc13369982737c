import FunnelModel

/// A project's data at one moment. Safe on any thread, for as long as it is kept; files go with their last snapshot.
package struct Snapshot: Sendable {
    let segments: [Segment]
    let memtable: Memtable
    let users: UserDictionary
    /// Ordinals of hidden users.
    let suppressed: Set<UInt32>
    /// The memtable's codes of event names.
    let nameCodes: [ByteString: UInt32]
    /// All event names, ascending.
    let names: [ByteString]
    package let places: PlaceMap
    /// The greatest event time, hidden users' included.
    package let newestTime: Int64?
    /// Asked now and then by whoever reads: true ends the reading with `.cancelled`.
    package var isCancelled: @Sendable () -> Bool = { false }

    /// All event names, in ascending byte order.
    package func eventNames() -> [ByteString] { names }

    /// Prepares the reading of some names' rows; nil is all names.
    package func keyScan(_ wanted: [ByteString]?) -> KeyScan { KeyScan(self, wanted ?? names) }

    /// The ids of users by their places, in the order asked.
    package func ids(ofPlaces wanted: some Collection<Int>) -> [ByteString] {
        users.ids(wanted.map { UInt32(truncatingIfNeeded: places.ordinal($0)) })
    }

    /// The place of a user; nil where none of the snapshot's rows can be the user's.
    package func place(of user: ByteString) -> Int? {
        guard let ordinal = users.find(user) else { return nil }
        let place = places.place(ordinal)
        return place < places.users && places.ordinal(place) == UInt64(ordinal) ? place : nil
    }

    /// Prepares the reading of whole users; nil is all names.
    /// - Parameter rowsMax: of users who are read together, and so of one user.
    package func rowScan(_ wanted: [ByteString]?, rowsMax: Int = .max) -> RowScan { RowScan(keyScan(wanted), rowsMax: rowsMax) }

    /// Rows of some names, repeats included.
    package func rows(of wanted: [ByteString]) -> Int {
        wanted.reduce(0) { sum, name in
            var rows = segments.reduce(sum) { $0 + ($1.run(name)?.rows ?? 0) }
            if let code = nameCodes[name] { rows += memtable.runs.reduce(0) { $0 + $1.rows(ofName: code).count } }
            return rows
        }
    }

    /// Users in the order of their places, each with its rows of the wanted names in order of time: repeats merged, hidden
    /// users left out. A user without such rows is not told.
    /// - Parameters:
    ///   - wanted: names; nil is all, with indexes into `eventNames()`.
    ///   - range: places; nil is all.
    ///   - isCancelled: asked once a slice; true ends the scan with `.cancelled`.
    ///   - body: false ends the scan. The rows hold during the call alone.
    package func scan(
        events wanted: [ByteString]? = nil, places range: Range<Int>? = nil, isCancelled: () -> Bool = { false },
        body: (UserRows) throws -> Bool
    ) throws {
        let rows = rowScan(wanted)
        let range = range ?? 0..<places.users
        for start in stride(from: range.lowerBound, to: range.upperBound, by: 1_024) {
            if isCancelled() { throw StoreError(.cancelled, "the scan was cancelled") }
            if try !rows.each(in: start..<min(range.upperBound, start + 1_024), body) { return }
        }
    }

    /// One user; `body` is not called where there are no rows.
    package func scan(user: ByteString, body: (UserRows) throws -> Bool) throws {
        guard let place = place(of: user) else { return }
        try scan(places: place..<(place + 1), body: body)
    }
}

/// Reads whole users, on one thread.
package final class RowScan {
    private let rows: UserRows?
    private let placesMax: Int
    private let rowsMax: Int

    init(_ scan: KeyScan, rowsMax: Int) {
        self.rowsMax = rowsMax
        guard let layout = scan.exactLayout else {
            rows = nil
            placesMax = 1
            return
        }
        rows = UserRows(scan, scan.loader(layout))
        placesMax = layout.placesMax
    }

    /// Each user of a range of places; false where `body` ended the scan.
    /// - Parameter tooMany: told the place of a user with more rows than may be read, who is passed over unless it throws.
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
    /// - Returns: the place behind the last of them.
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

/// The rows of one user as a scan tells them. One object serves a whole scan: keep nothing of it.
package final class UserRows {
    private let scan: KeyScan
    private let loader: KeyLoader
    /// Each name's place in byte order, by which rows of one time are ordered.
    private let rank: [Int]
    private struct Row {
        var key: UInt64
        var ref: RowRef
        var event: Int32
    }

    private var rows: [Row] = []
    private var firstPlace = 0
    private var user = 0..<0

    init(_ scan: KeyScan, _ loader: KeyLoader) {
        self.scan = scan
        self.loader = loader
        rank = scan.names.indices.sorted { scan.names[$0].name < scan.names[$1].name }
    }

    package var count: Int { user.count }
    package var place: Int { firstPlace + loader.layout.place(rows[user.lowerBound].key) }
    package var id: ByteString { scan.snapshot.ids(ofPlaces: [place])[0] }

    /// Microseconds since 1970 UTC.
    package func time(_ i: Int) -> Int64 { loader.layout.time(rows[user.lowerBound + i].key) }

    /// The index of the event's name in the names the scan was given.
    package func event(_ i: Int) -> Int { Int(rows[user.lowerBound + i].event) }

    package func ref(_ i: Int) -> RowRef { rows[user.lowerBound + i].ref }

    /// The value of a property; nil where the row has none.
    package func property(_ i: Int, _ key: ByteString) throws -> PropertyValue? { try loader.reader.property(ref(i), key) }

    /// The whole event.
    package func row(_ i: Int) throws -> Event {
        let ref = ref(i)
        return Event(
            user: id, name: scan.names[event(i)].name, time: time(i), id: try loader.reader.id(ref),
            serverTimed: try loader.reader.isServerTimed(ref), properties: try loader.reader.properties(ref))
    }

    /// Reads the rows of a slice of places; `next` then goes from user to user.
    func load(_ places: Range<Int>, rowsMax: Int) throws(StoreError) {
        clear()
        firstPlace = places.lowerBound
        loader.begin(rowsMax: rowsMax)
        var lists: [[Row]] = []
        for name in rank {
            let list = try loader.loadRows(name, places: places)
            if list.count > 0 { lists.append((0..<list.count).map { Row(key: list.keys[$0], ref: list.ref($0), event: Int32(name)) }) }
        }
        // Neighbours two by two, the earlier name first where times are equal.
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

    func next() -> Bool {
        let start = user.upperBound
        guard start < rows.count else { return false }
        let place = loader.layout.place(rows[start].key)
        var end = start + 1
        while end < rows.count, loader.layout.place(rows[end].key) == place { end += 1 }
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
