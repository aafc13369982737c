import FunnelModel
import FunnelStatistics
import Glibc

/// The events and property values that predict a step. Fields and order: `Protocol/FUNNEL.md` section 6; formulas:
/// `Protocol/STATISTICS.md`.
package struct PredictorsReport: Sendable {
    private enum Feature {
        case event(ByteString)
        case value(ByteString, PropertyValue)
    }

    private struct Row {
        var feature: Feature
        var with: PredictorCounts.Users
        var without: PredictorCounts.Users
        /// Users without the feature against users with it.
        var pair: TwoProportions
        var test: (pValue: Double, method: TwoProportions.Method)?
        var adjusted: Double?

        /// The logarithm of the greater rate divided by the smaller one; infinite if the smaller is 0.
        var strength: Double {
            guard let p1 = pair.first.rate, let p2 = pair.second.rate, p1 != p2 else { return 0 }
            return min(p1, p2) == 0 ? .infinity : log(max(p1, p2) / min(p1, p2))
        }
    }

    private let question: PredictorQuestion
    private let usersMin: Int
    private let rowsMax: Int
    private let whole: PredictorCounts.Users
    private let leftOut: [ByteString]
    private let tested: Int
    private let rows: [Row]

    /// Features of fewer than `usersMin` users are not tested; `rows` is the max shown.
    package init(_ question: PredictorQuestion, _ counts: PredictorCounts, usersMin: Int, rows: Int) {
        self.question = question
        self.usersMin = usersMin
        rowsMax = rows
        whole = counts.whole
        leftOut = counts.leftOut.sorted()
        var all = Self.features(counts, usersMin).compactMap { Self.row($0.feature, $0.users, counts.whole) }
        let adjusted = MultipleTesting.benjaminiHochberg(all.map { $0.test?.pValue })
        for i in all.indices { all[i].adjusted = adjusted[i] }
        tested = all.count
        // Ties stay in the order of names and values.
        let keys = all.enumerated().map { (q: $0.element.adjusted ?? 2, strength: $0.element.strength, place: $0.offset) }
        let order = keys.sorted { a, b in
            if a.q != b.q { return a.q < b.q }
            return a.strength != b.strength ? a.strength > b.strength : a.place < b.place
        }
        self.rows = order.prefix(rows).map { all[$0.place] }
    }

    /// Events, then values of properties, by their bytes.
    private static func features(_ counts: PredictorCounts, _ usersMin: Int) -> [(feature: Feature, users: PredictorCounts.Users)] {
        var found: [(feature: Feature, users: PredictorCounts.Users)] = []
        for name in counts.events.keys.sorted() {
            if let users = counts.events[name] { found.append((.event(name), users)) }
        }
        for name in counts.properties.keys.sorted() {
            let values = (counts.properties[name] ?? [:]).filter { $0.value.count >= usersMin }
            for value in values.keys.sortedAsText() {
                if let users = values[value] { found.append((.value(name, value), users)) }
            }
        }
        return found.filter { $0.users.count >= usersMin }
    }

    private static func row(_ feature: Feature, _ with: PredictorCounts.Users, _ whole: PredictorCounts.Users) -> Row? {
        let without = PredictorCounts.Users(whole.count - with.count, converted: whole.converted - with.converted)
        guard let first = Proportion(without.converted, of: without.count), let second = Proportion(with.converted, of: with.count)
        else { return nil }
        let pair = TwoProportions(first, second)
        return Row(feature: feature, with: with, without: without, pair: pair, test: pair.test)
    }

    package var json: [JSONValue.Member] {
        [
            .init("step", .count(question.step)), .init("of", .count(question.of)), .init("properties", .bool(question.properties)),
            .init("k", .count(rowsMax)), .init("min_users", .count(usersMin)), .init("users", .integer(Int64(whole.count))),
            .init("converted", .integer(Int64(whole.converted))), .init("conversion", .number(Rate.of(whole.converted, whole.count))),
            .init("tested", .count(tested)), .init("predictors", .array(rows.map(Self.object))),
            .init("left_out", .array(leftOut.map { .string($0) })),
        ]
    }

    private static func object(_ row: Row) -> JSONValue {
        let head: [JSONValue.Member]
        switch row.feature {
        case .event(let name): head = [.init("event", .string(name))]
        case .value(let name, let value): head = [.init("property", .string(name)), .init("value", value.json)]
        }
        let difference = row.pair.difference ?? 0
        return .object(
            head + [
                .init("with", object(row.with)), .init("without", object(row.without)), .init("lift", .number(row.pair.lift)),
                .init("lift_ci", row.pair.liftInterval.map { [.double($0.low), .double($0.high)] } ?? .null),
                .init("direction", difference == 0 ? .null : (difference > 0 ? "up" : "down")),
                .init("p_value", .number(row.test?.pValue)), .init("method", row.test.map { .text($0.method.rawValue) } ?? .null),
                .init("q_value", .number(row.adjusted)),
            ])
    }

    private static func object(_ users: PredictorCounts.Users) -> JSONValue {
        [
            "users": .integer(Int64(users.count)), "converted": .integer(Int64(users.converted)),
            "conversion": .number(Rate.of(users.converted, users.count)),
        ]
    }
}
