import FunnelModel
import Testing

struct PredicateTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var value: PropertyValue?
        var op: Predicate.Comparison
        var against: [PropertyValue]
        var holds: Bool

        var testDescription: String { "\(value.map { "\($0)" } ?? "absent") \(op.rawValue) \(against)" }

        init(_ value: PropertyValue?, _ op: Predicate.Comparison, _ against: [PropertyValue], _ holds: Bool) {
            self.value = value
            self.op = op
            self.against = against
            self.holds = holds
        }
    }

    static let one = PropertyValue.integer(1)
    static let text = PropertyValue.string("1")
    static let nan = PropertyValue.double(.nan)
    static let rows: [Row] = [
        Row(one, .equal, [.double(1)], true), Row(one, .equal, [text], false), Row(one, .notEqual, [text], true),
        Row(one, .notEqual, [.double(1)], false), Row(.bool(true), .equal, [one], false),
        Row(.bool(true), .equal, [.bool(true)], true),
        Row(one, .greater, [.double(0.5)], true), Row(one, .greater, [text], false),
        Row(one, .lessOrEqual, [text], false),
        Row(text, .less, [.string("2")], true), Row(text, .greaterOrEqual, [.string("10")], false),
        Row(.string("Z"), .less, [.string("a")], true), Row(.bool(false), .less, [.bool(true)], false),
        Row(.bool(true), .greaterOrEqual, [.bool(true)], false), Row(one, .isIn, [text, .double(1)], true),
        Row(one, .isIn, [text], false), Row(one, .notIn, [text], true), Row(one, .notIn, [one], false),
        Row(nil, .isIn, [one], false),
        Row(nil, .notIn, [one], true), Row(nil, .notEqual, [one], true), Row(nil, .equal, [one], false),
        Row(nil, .exists, [], false),
        Row(nil, .notExists, [], true), Row(.string(""), .exists, [], true), Row(one, .notExists, [], false),
        Row(.string("abc"), .contains, [.string("bc")], true), Row(.string("abc"), .contains, [.string("ac")], false),
        Row(.string("abc"), .contains, [.string("")], true), Row(.string("abc"), .startsWith, [.string("ab")], true),
        Row(.string("abc"), .startsWith, [.string("bc")], false), Row(one, .contains, [text], false),
        Row(.string("Zo\u{EB}"), .equal, [.string("Zoe\u{308}")], false), Row(nil, .contains, [text], false),
        Row(.integer(.max), .less, [.double(9.3e18)], true),
        Row(.integer(.min), .equal, [.double(-9_223_372_036_854_775_808)], true),
        Row(.integer(9_007_199_254_740_993), .equal, [.double(9_007_199_254_740_992)], false),
        Row(one, .greater, [.double(-.infinity)], true), Row(one, .less, [.double(.infinity)], true),
        // No order with NaN, whoever brought it.
        Row(nan, .equal, [one], false), Row(nan, .notEqual, [one], true), Row(nan, .less, [.double(1)], false),
        Row(one, .greaterOrEqual, [nan], false), Row(nan, .equal, [nan], false),
    ]

    @Test(arguments: rows)
    func holdsAsTheTableSays(row: Row) {
        let filter = Predicate(property: "p", comparison: row.op, values: row.against)
        #expect(filter.accepts(row.value) == row.holds)
    }
}
