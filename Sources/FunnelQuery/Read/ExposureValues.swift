import EventStorage
import FunnelMatch
import FunnelModel

/// One thread's reader of exposures (`FUNNEL.md` section 6, "Experiments"): each user's value of a property in the earliest
/// event that may start an attempt and has the property.
struct ExposureValues: ValuesOfUsers {
    private let entries: ShardQuery
    private let property: ByteString
    private let reader: HistoryReader
    private var column: PropertyCodes
    private var numbers = ValueNumbers()
    private var history = GeneralScan.History()
    /// By place in the slice: the number of the first value, and whether there is another one.
    private var first: [Int32] = []
    private var isSeveral: [Bool] = []
    /// Number of users passed to `code` or `count` who have several values.
    private(set) var several = 0

    init(_ query: ShardQuery, _ property: ByteString) {
        // No cohorts: the pass that matches decides which users take part.
        entries = ShardQuery(query.plan.entries, query.view, places: query.places, cohorts: [], heavy: query.heavy)
        self.property = property
        // In any order the plan has all steps, and each may start an attempt.
        reader = HistoryReader(entries, starting: .all, ordersTies: true)
        column = PropertyCodes(query.view, property)
    }

    mutating func load(_ slice: Range<Int>) throws {
        if numbers.values.count > ValueNumbers.kept {
            numbers = ValueNumbers()
            column = PropertyCodes(entries.view, property)
        }
        first = Array(repeating: PropertyCodes.none, count: slice.count)
        isSeveral = Array(repeating: false, count: slice.count)
        var places: [Int] = []
        var rows: [RowRef] = []
        reader.load(slice)
        while try reader.next(&history) {
            for (time, row) in zip(history.events.time, history.row) where entries.plan.entryRange.contains(time) {
                places.append(history.place - slice.lowerBound)
                rows.append(row)
            }
            if slice.count > 1, rows.count > entries.heavy.rowsMax { throw StoreError(.tooManyRows, "the users have too many entries") }
        }
        let found = try column.codes(of: rows) { numbers.number(of: $0) }
        for (place, number) in zip(places, found) where number != PropertyCodes.none {
            if first[place] == PropertyCodes.none { first[place] = number }
            if first[place] != number { isSeveral[place] = true }
        }
    }

    mutating func code(_ place: Int, _ tally: inout GroupTally) throws -> Int32 {
        count(place)
        return first[place] == PropertyCodes.none ? PropertyCodes.none : try tally.code(of: numbers.values[Int(first[place])])
    }

    /// Adds a user to `several` without reading the value.
    mutating func count(_ place: Int) { several += isSeveral[place] ? 1 : 0 }
}

extension FunnelPlan {
    /// A plan of only the events that may start an attempt: those of step 1, or in any order those of any step. Its clock is
    /// microseconds, so that all times are exact.
    var entries: FunnelPlan {
        let own = definition
        var definition = FunnelDefinition(steps: own.order == .any ? own.steps : [own.steps[0]])
        definition.eventTypes = own.eventTypes
        definition.clock = .microsecond
        return FunnelPlan(definition, entryRange: entryRange, asOf: asOf)
    }
}
