import FunnelModel

/// A funnel's users by the value of a property. Fields and order: `Protocol/FUNNEL.md` section 6.
package struct BreakdownReport: Sendable {
    private let request: BreakdownRequest
    private let definition: FunnelDefinition
    /// The largest groups, in the order of the answer.
    private let rows: [(value: PropertyValue, counts: [UInt64])]
    private let absent: [UInt64]
    /// The sum of the other groups, and how many values they have; nil if all are shown.
    private let other: (values: ClosedRange<Int>, counts: [UInt64])?

    /// `counts` are those of all users, by step.
    package init(_ request: BreakdownRequest, _ groups: ValueGroups, of counts: [UInt64], _ definition: FunnelDefinition) {
        self.request = request
        self.definition = definition
        absent = groups.absent
        rows = groups.largest(request.rows).map { (groups.value(at: $0), groups.counts(at: $0)) }
        let values = groups.distinct
        guard values.upperBound > rows.count else {
            other = nil
            return
        }
        // The difference, since shards leave out groups if there are many.
        let rest = rows.reduce(zip(counts, absent).map(-)) { zip($0, $1.counts).map(-) }
        other = ((values.lowerBound - rows.count)...(values.upperBound - rows.count), rest)
    }

    package var json: JSONValue {
        var list = rows.map { object([.init("value", $0.value.json)], $0.counts) }
        list.append(object([.init("value", .null)], absent))
        return [
            "property": .string(request.breakdown.property), "touch": .text(request.breakdown.touch.text), "k": .count(request.rows),
            "rows": .array(list), "other": other.map { object(Self.count($0.values), $0.counts) } ?? .null,
        ]
    }

    private static func count(_ values: ClosedRange<Int>) -> [JSONValue.Member] {
        if values.count == 1 { return [.init("values", .count(values.lowerBound))] }
        return [.init("values", .null), .init("values_range", [.count(values.lowerBound), .count(values.upperBound)])]
    }

    private func object(_ first: [JSONValue.Member], _ counts: [UInt64]) -> JSONValue {
        let rows = CountRows(definition, counts)
        return .object(first + rows.head + [.init("steps", rows.steps)])
    }
}
