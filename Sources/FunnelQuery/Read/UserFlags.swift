import EventStorage
import FunnelMatch
import FunnelModel

/// One thread's reader of which users take part: by conditions on user properties, and by cohorts.
final class UserFlags {
    private let view: StoreView
    private let rowsMax: Int
    private let properties: [ByteString]
    private let cohorts: [(list: UserList, outcomes: OutcomeReader)]
    private var columns: UserColumns
    private var numbers: [ValueNumbers]
    /// By property and place in the slice: the value's number; empty until it is needed.
    private var codes: [[Int32]]
    private var tests: [Test] = []
    private var places = 0..<0
    /// By place in the slice: 1 for users who are in all cohorts.
    private(set) var members: [UInt8] = []

    /// Which values meet a condition.
    private struct Test {
        let condition: Predicate
        /// By value number: 1 if the value meets it.
        var accepted: [UInt8] = []
    }

    /// Nil if the query has neither cohorts nor conditions on users.
    init?(_ query: ShardQuery) {
        properties = query.plan.userProperties
        if properties.isEmpty, query.cohorts.isEmpty { return nil }
        view = query.view
        rowsMax = query.heavy.rowsMax
        cohorts = query.cohorts.map { ($0.list, OutcomeReader($0.query, $0.strategy, for: $0.list)) }
        columns = UserColumns(view, properties, rowsMax: rowsMax)
        numbers = properties.map { _ in ValueNumbers() }
        codes = properties.map { _ in [] }
    }

    /// Reads a slice of users.
    /// - Throws: `MatchError`, `StoreError`.
    func load(_ places: Range<Int>) throws {
        self.places = places
        if numbers.contains(where: { $0.values.count > ValueNumbers.kept }) { forget() }
        if !properties.isEmpty { try columns.load(places) }
        for i in codes.indices { codes[i].removeAll(keepingCapacity: true) }
        members = [UInt8](repeating: 1, count: places.count)
        for cohort in cohorts {
            var mine = [UInt8](repeating: 0, count: places.count)
            try cohort.outcomes.each(in: places, view.isCancelled) { place, user in
                if cohort.list.includes(user) { mine[place - places.lowerBound] = 1 }
            }
            for i in mine.indices { members[i] &= mine[i] }
        }
    }

    private func forget() {
        columns = UserColumns(view, properties, rowsMax: rowsMax)
        numbers = properties.map { _ in ValueNumbers() }
        for i in tests.indices { tests[i].accepted = [] }
    }

    /// By place in the slice: 1 for users who meet all of some conditions on users.
    func flags(_ conditions: [Predicate]) throws -> [UInt8] {
        var flags = [UInt8](repeating: 1, count: places.count)
        for condition in conditions {
            guard let property = properties.firstIndex(where: { $0 == condition.userProperty }) else { continue }
            if codes[property].isEmpty { codes[property] = try columns.codes(property) { numbers[property].number(of: $0) } }
            let test = tests.firstIndex { $0.condition == condition } ?? tests.count
            if test == tests.count { tests.append(Test(condition: condition)) }
            let absent: UInt8 = condition.accepts(nil) ? 1 : 0
            let accepted = accepted(test, numbers[property].values)
            for (i, code) in codes[property].enumerated() { flags[i] &= code < 0 ? absent : accepted[Int(code)] }
        }
        return flags
    }

    private func accepted(_ test: Int, _ values: [PropertyValue]) -> [UInt8] {
        for value in values[tests[test].accepted.count...] {
            tests[test].accepted.append(tests[test].condition.accepts(value) ? 1 : 0)
        }
        return tests[test].accepted
    }
}
