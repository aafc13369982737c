import FunnelModel

/// A funnel's users by the value of a property. Fields and order: `Protocol/FUNNEL.md`, section 6.
package struct BreakdownReport: Sendable {
    private let request: BreakdownRequest
    private let steps: [FunnelDefinition.Step]
    /// The largest groups, in the order of the answer.
    private let rows: [(value: PropertyValue, counts: [UInt64])]
    private let absent: [UInt64]
    /// The rest, added up, and how many values that is; nil where all are shown.
    private let other: (values: Int, counts: [UInt64])?

    package init(_ request: BreakdownRequest, _ groups: ValueGroups, steps: [FunnelDefinition.Step]) {
        self.request = request
        self.steps = steps
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
        var list = rows.map { Self.object(.init("value", $0.value.json), $0.counts, steps) }
        list.append(Self.object(.init("value", .null), absent, steps))
        return [
            "property": .string(request.breakdown.property), "touch": .text(request.breakdown.touch.text), "k": .count(request.rows),
            "rows": .array(list), "other": other.map { Self.object(.init("values", .count($0.values)), $0.counts, steps) } ?? .null,
        ]
    }

    private static func object(_ head: JSONValue.Member, _ counts: [UInt64], _ steps: [FunnelDefinition.Step]) -> JSONValue {
        let last = counts[counts.count - 1]
        return .object([
            head, .init("entered", .integer(Int64(counts[0]))), .init("converted", .integer(Int64(last))),
            .init("conversion", .number(Rate.of(last, counts[0]))), .init("conversion_ci", Rate.interval(last, of: counts[0])),
            .init("steps", .array(counts.indices.map { step($0, counts, steps[$0].name) })),
        ])
    }

    private static func step(_ i: Int, _ counts: [UInt64], _ name: ByteString) -> JSONValue {
        [
            "step": .string(name), "index": .count(i + 1), "count": .integer(Int64(counts[i])),
            "conversion_from_first": .number(Rate.of(counts[i], counts[0])),
            "conversion_from_previous": i == 0 ? .null : .number(Rate.of(counts[i], counts[i - 1])),
            "dropoff": i == 0 ? .null : .integer(Int64(counts[i - 1] - counts[i])),
        ]
    }
}
