import FunnelModel

/// A project's data at one moment. Safe on any thread, for as long as it is kept; files go with their last view.
package struct StoreView: Sendable {
    let segments: [Segment]
    let memtable: Memtable
    let users: UserDictionary
    /// Ordinals of suppressed users.
    let suppressed: Set<UInt32>
    /// The memtable's codes of event names.
    let nameCodes: [ByteString: UInt32]
    /// All event names, ascending.
    let names: [ByteString]
    package let places: PlaceMap
    /// The greatest event time, suppressed users' included.
    package let newestTime: Int64?
    /// Asked now and then by whoever reads: true ends the reading with `.cancelled`.
    package var isCancelled: @Sendable () -> Bool = { false }

    /// All event names, in ascending byte order.
    package func eventNames() -> [ByteString] { names }

    /// Prepares the reading of some names' rows; nil is all names.
    package func selection(_ wanted: [ByteString]?) -> RowSelection { RowSelection(self, wanted ?? names) }

    /// The ids of users by their places, in the order asked.
    package func ids(ofPlaces wanted: some Collection<Int>) -> [ByteString] {
        users.ids(wanted.map { UInt32(truncatingIfNeeded: places.ordinal($0)) })
    }

    /// The place of a user; nil where none of the view's rows can be the user's.
    package func place(of user: ByteString) -> Int? {
        guard let ordinal = users.find(user) else { return nil }
        let place = places.place(ordinal)
        return place < places.users && places.ordinal(place) == UInt64(ordinal) ? place : nil
    }

    /// Prepares the reading of whole users; nil is all names.
    /// - Parameter rowsMax: of users who are read together, and so of one user.
    package func userRows(_ wanted: [ByteString]?, rowsMax: Int = .max) -> UserRowReader {
        UserRowReader(selection(wanted), rowsMax: rowsMax)
    }

    /// Rows of some names, repeats included.
    package func rows(of wanted: [ByteString]) -> Int {
        wanted.reduce(0) { sum, name in
            var rows = segments.reduce(sum) { $0 + ($1.run(name)?.rows ?? 0) }
            if let code = nameCodes[name] { rows += memtable.runs.reduce(0) { $0 + $1.rows(ofName: code).count } }
            return rows
        }
    }

    /// Users in the order of their places, each with its rows of the wanted names in order of time: repeats merged, suppressed
    /// users left out. Users without such rows are skipped.
    /// - Parameters:
    ///   - wanted: names; nil is all, with indexes into `eventNames()`.
    ///   - range: places; nil is all.
    ///   - isCancelled: asked once a slice; true ends the scan with `.cancelled`.
    ///   - body: false ends the scan. The rows hold during the call alone.
    package func scan(
        events wanted: [ByteString]? = nil, places range: Range<Int>? = nil, isCancelled: () -> Bool = { false },
        body: (UserRows) throws -> Bool
    ) throws {
        let rows = userRows(wanted)
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
