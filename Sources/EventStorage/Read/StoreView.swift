import FunnelModel

/// An immutable view of a project's data, safe on any thread. Files that were replaced are removed with their last view.
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
    /// Max event time in microseconds, including rows of suppressed users.
    package let newestTime: Int64?
    /// Called by readers at intervals: true ends the reading with `.cancelled`.
    package var isCancelled: @Sendable () -> Bool = { false }

    /// The names of all events, in ascending byte order. Claims have none.
    package func eventNames() -> [ByteString] { names.filter { !EventName.isReserved($0) } }

    /// Prepares reading the rows of some names; nil is all of `eventNames()`.
    package func selection(_ wanted: [ByteString]?) -> RowSelection { RowSelection(self, wanted ?? eventNames()) }

    /// The ids of users by their places, in the order of `wanted`.
    package func ids(ofPlaces wanted: some Collection<Int>) -> [ByteString] {
        users.ids(wanted.map { UInt32(truncatingIfNeeded: places.ordinal($0)) })
    }

    /// The place of a user; nil if the view cannot have rows of the user.
    package func place(of user: ByteString) -> Int? {
        guard let ordinal = users.find(user) else { return nil }
        let place = places.place(ordinal)
        return place < places.users && places.ordinal(place) == UInt64(ordinal) ? place : nil
    }

    /// Prepares reading whole users, with the rows of some names; nil is all names.
    /// - Parameter rowsMax: max rows of users that are read together, and so of one user.
    package func userRows(_ wanted: [ByteString]?, rowsMax: Int = .max) -> UserRowReader {
        UserRowReader(selection(wanted), rowsMax: rowsMax)
    }

    /// Rows of some names, duplicates included.
    package func rows(of wanted: [ByteString]) -> Int {
        wanted.reduce(0) { sum, name in
            var rows = segments.reduce(sum) { $0 + ($1.run(name)?.rows ?? 0) }
            if let code = nameCodes[name] { rows += memtable.runs.reduce(0) { $0 + $1.rows(ofName: code).count } }
            return rows
        }
    }

    /// Calls `body` with each user, in the order of places, and the user's rows of the wanted names, in the order of time.
    /// Duplicates are merged; suppressed users and users without such rows are left out.
    /// - Parameters:
    ///   - wanted: names; nil is all, with indexes into `eventNames()`.
    ///   - range: places; nil is all.
    ///   - isCancelled: called once per slice; true ends the scan with `.cancelled`.
    ///   - body: false ends the scan. The rows are valid only during the call.
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

    /// Scans one user; `body` is not called if there are no rows.
    package func scan(user: ByteString, body: (UserRows) throws -> Bool) throws {
        guard let place = place(of: user) else { return }
        try scan(places: place..<(place + 1), body: body)
    }
}
