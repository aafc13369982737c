import EventStorage
import FunnelMatch
import FunnelModel

/// One thread's reader of user properties: for each, the value in the user's latest `$identify` or `$set` event that has the
/// property, or else in the earliest `$set_once` (`FUNNEL.md` section 7, "User properties").
final class UserColumns {
    private static let events: [ByteString] = [EventName.identify, EventName.set, EventName.setOnce]

    /// Rows of the slice, oldest first for each user.
    private struct Rows {
        /// By row: the user's place in the slice.
        var users: [Int] = []
        var rows: [RowRef] = []

        mutating func removeAll() {
            users.removeAll(keepingCapacity: true)
            rows.removeAll(keepingCapacity: true)
        }
    }

    private let keyReader: KeyReader?
    private let rowsMax: Int
    private var columns: [PropertyCodes]
    private var places = 0..<0
    /// Rows of `$identify` and `$set`, and rows of `$set_once`.
    private var latest = Rows()
    private var first = Rows()

    /// A reader of some user properties, whose names are without `user.`.
    /// - Parameter rowsMax: max number of rows of users read together, and so of one user.
    init(_ view: StoreView, _ properties: [ByteString], rowsMax: Int) {
        self.rowsMax = rowsMax
        let selection = view.selection(Self.events)
        keyReader = selection.exactLayout.map(selection.reader)
        columns = properties.map { PropertyCodes(view, $0) }
    }

    func load(_ places: Range<Int>) throws(StoreError) {
        self.places = places
        latest.removeAll()
        first.removeAll()
        guard let keyReader else { return }
        for start in stride(from: places.lowerBound, to: places.upperBound, by: keyReader.layout.placesMax) {
            let part = start..<min(places.upperBound, start + keyReader.layout.placesMax)
            keyReader.begin(rowsMax: rowsMax)
            try add(
                .merging(try keyReader.loadRows(0, places: part), try keyReader.loadRows(1, places: part)), part, keyReader, to: &latest)
            try add(try keyReader.loadRows(2, places: part), part, keyReader, to: &first)
        }
    }

    private func add(_ list: RowList, _ part: Range<Int>, _ keyReader: KeyReader, to found: inout Rows) throws(StoreError) {
        var i = 0
        while i < list.count {
            var end = i + 1
            while end < list.count, list.keys[end] == list.keys[i] { end += 1 }
            let user = min(part.upperBound - 1, part.lowerBound + keyReader.layout.place(list.keys[i])) - places.lowerBound
            for row in try ordered((i..<end).map(list.ref), keyReader.reader) {
                found.users.append(user)
                found.rows.append(row)
            }
            i = end
        }
    }

    /// Sorts rows of one time by event id. Rows of one id keep their order, by name and then property bytes.
    private func ordered(_ rows: [RowRef], _ reader: RowReader) throws(StoreError) -> [RowRef] {
        if rows.count == 1 { return rows }
        var byID: [(id: ByteString, index: Int)] = []
        for (i, row) in rows.enumerated() { byID.append((try reader.id(row), i)) }
        byID.sort { ($0.id, $0.index) < ($1.id, $1.index) }
        return byID.map { rows[$0.index] }
    }

    /// The code of each user's value, by place in the slice; `PropertyCodes.none` for users without one.
    /// - Parameters:
    ///   - property: index in the properties given to `init`.
    ///   - code: see `PropertyCodes.codes`.
    func codes(_ property: Int, _ code: (PropertyValue) throws -> Int32) throws -> [Int32] {
        var codes = [Int32](repeating: PropertyCodes.none, count: places.count)
        if !first.rows.isEmpty {
            let found = try columns[property].codes(of: first.rows, code)
            for (i, code) in found.enumerated().reversed() where code != PropertyCodes.none { codes[first.users[i]] = code }
        }
        let found = try columns[property].codes(of: latest.rows, code)
        // An event without the property does not remove the value of an earlier event.
        for (i, code) in found.enumerated() where code != PropertyCodes.none { codes[latest.users[i]] = code }
        return codes
    }
}

/// One thread's reader of one value a user, slice by slice. Only values of users who are added get a code of the tally.
protocol ValuesOfUsers {
    mutating func load(_ slice: Range<Int>) throws

    /// The tally's code of a user's value; negative if there is none. Called once for each user of the slice who is added.
    /// - Parameter place: the user's place in the slice.
    mutating func code(_ place: Int, _ tally: inout GroupTally) throws -> Int32
}

/// The values of a user property, for a tally.
struct TalliedUserValues: ValuesOfUsers {
    private let query: ShardQuery
    private let property: ByteString
    private var column: UserColumns
    private var numbers = ValueNumbers()
    /// By place in the slice: the number of the user's value.
    private var places: [Int32] = []
    /// By value number: the tally's code.
    private var codes: [Int32] = []
    private static let unknown: Int32 = -2

    init(_ query: ShardQuery, _ property: ByteString) {
        self.query = query
        self.property = property
        column = UserColumns(query.view, [property], rowsMax: query.heavy.rowsMax)
    }

    mutating func load(_ slice: Range<Int>) throws {
        if numbers.values.count > ValueNumbers.kept { self = TalliedUserValues(query, property) }
        try column.load(slice)
        places = try column.codes(0) { numbers.number(of: $0) }
        codes.append(contentsOf: repeatElement(Self.unknown, count: numbers.values.count - codes.count))
    }

    mutating func code(_ place: Int, _ tally: inout GroupTally) throws -> Int32 {
        let number = Int(places[place])
        if number < 0 { return PropertyCodes.none }
        if codes[number] == Self.unknown { codes[number] = try tally.code(of: numbers.values[number]) }
        return codes[number]
    }
}
