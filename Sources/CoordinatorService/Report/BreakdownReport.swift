import FunnelModel

/// A funnel's users by the value of a property. Fields and order: `Protocol/FUNNEL.md`, section 6.
package struct BreakdownReport: Sendable {
    private let request: BreakdownRequest
    private let definition: FunnelDefinition
    /// The largest groups, in the order of the answer.
    private let rows: [(value: PropertyValue, counts: [UInt64])]
    private let absent: [UInt64]
    /// The rest, added up, and how many values that is; nil where all are shown.
    private let other: (values: Int, counts: [UInt64])?

    package init(_ request: BreakdownRequest, _ groups: ValueGroups, _ definition: FunnelDefinition) {
        self.request = request
        self.definition = definition
        absent = groups.absent
        let largest = Self.largest(request.rows, of: groups)
        rows = largest.map { ($0, groups.counts[$0] ?? groups.absent) }
        guard groups.counts.count > largest.count else {
            other = nil
            return
        }
        var rest = Array(repeating: UInt64(0), count: groups.absent.count)
        for counts in groups.counts.values { rest = zip(rest, counts).map(+) }
        for row in rows { rest = zip(rest, row.counts).map(-) }
        other = (groups.counts.count - largest.count, rest)
    }

    /// By users who entered, descending, then by the values as text.
    private static func largest(_ k: Int, of groups: ValueGroups) -> [PropertyValue] {
        let sizes = groups.counts.values.map { $0[0] }.sorted(by: >)
        guard let least = sizes.prefix(k).last else { return [] }
        // Only what can be among the first k is put in order by its text.
        let candidates = groups.counts.filter { $0.value[0] >= least }
        let sorted = candidates.keys.sortedAsText().enumerated().sorted { a, b in
            let (x, y) = (candidates[a.element]?[0] ?? 0, candidates[b.element]?[0] ?? 0)
            return x != y ? x > y : a.offset < b.offset
        }
        return sorted.prefix(k).map(\.element)
    }

    package var json: JSONValue {
        var list = rows.map { object(.init("value", $0.value.json), $0.counts) }
        list.append(object(.init("value", .null), absent))
        return [
            "property": .string(request.breakdown.property), "touch": .text(request.breakdown.touch.text), "k": .count(request.rows),
            "rows": .array(list), "other": other.map { object(.init("values", .count($0.values)), $0.counts) } ?? .null,
        ]
    }

    private func object(_ first: JSONValue.Member, _ counts: [UInt64]) -> JSONValue {
        let rows = CountRows(definition, counts)
        return .object([first] + rows.head + [.init("steps", rows.steps)])
    }
}
