import FunnelModel
import FunnelProtocol

/// Names, properties or values with their numbers of rows, most rows first. Fields: `Protocol/PROTOCOL.md` section 7.
struct DiscoveryReport: Sendable {
    private let request: DiscoveryRequest
    private let found: Discovery
    private let completeness: Completeness

    init(_ request: DiscoveryRequest, _ found: Discovery, _ completeness: Completeness) {
        self.request = request
        self.found = found
        self.completeness = completeness
    }

    static let lowerBounds = "there are more distinct values than a shard tells apart: rows are lower bounds, and values may be missing"

    var json: JSONValue {
        var members: [JSONValue.Member]
        switch found {
        case .events(let events): members = list("events", events.sorted { ($1.value.rows, $0.key) < ($0.value.rows, $1.key) }, Self.event)
        case .properties(let properties):
            members = list("properties", properties.sorted { ($1.value.rows, $0.key) < ($0.value.rows, $1.key) }, Self.property)
        case .values(let values): members = self.values(values)
        // The status asks for these; discovery requests do not.
        case .totals, .names: members = []
        }
        members.append(.init("completeness", completeness.listJSON))
        return .object(members)
    }

    private func list<T>(_ name: ByteString, _ entries: [T], _ json: (T) -> JSONValue) -> [JSONValue.Member] {
        [.init(name, .array(entries.prefix(request.limit).map(json))), .init("total", .count(entries.count))]
    }

    private static func event(_ entry: (key: ByteString, value: EventRows)) -> JSONValue {
        [
            "event": .string(entry.key), "rows": .integer(Int64(entry.value.rows)),
            "first": .text(Timestamp.format(entry.value.times.lowerBound)), "last": .text(Timestamp.format(entry.value.times.upperBound)),
        ]
    }

    private static func property(_ entry: (key: ByteString, value: PropertyRows)) -> JSONValue {
        let kinds: [(ByteString, UInt64)] = [
            ("string", entry.value.strings), ("number", entry.value.numbers), ("boolean", entry.value.booleans),
        ]
        return [
            "property": .string(entry.key), "rows": .integer(Int64(entry.value.rows)),
            "kinds": .object(kinds.filter { $0.1 > 0 }.map { .init($0.0, .integer(Int64($0.1))) }),
        ]
    }

    private func values(_ values: ValueRows) -> [JSONValue.Member] {
        guard case .values(let property, let event, _) = request.query else { return [] }
        // By rows, ties by text.
        let byText = values.rows.keys.sortedAsText().map { (value: $0, rows: values.rows[$0] ?? 0) }
        let sorted = byText.enumerated().sorted { ($1.element.rows, $0.offset) < ($0.element.rows, $1.offset) }.map(\.element)
        let rows = list("values", sorted) { ["value": $0.value.json, "rows": .integer(Int64($0.rows))] }
        return [
            .init("property", .string(property)), .init("event", event.isEmpty ? .null : .string(event)),
        ] + rows + [
            .init("truncated", .bool(values.isTruncated)), .init("note", values.isTruncated ? .text(Self.lowerBounds) : .null),
        ]
    }
}
