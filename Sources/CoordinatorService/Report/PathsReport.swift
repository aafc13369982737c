import FunnelModel

/// What users do after the step they dropped at, or between two steps. Fields and order: `Protocol/FUNNEL.md` section 6.
package struct PathsReport: Sendable {
    private typealias Row = (events: [ByteString], users: UInt64)

    private let question: PathQuestion
    private let rows: Int
    private let users: UInt64
    /// By users, descending, then by the names of events.
    private let paths: [Row]
    /// Users by the first event of their path.
    private let next: [Row]

    /// `rows` is the max shown of each list.
    package init(_ question: PathQuestion, _ counts: PathCounts, rows: Int) {
        self.question = question
        self.rows = rows
        users = counts.users.values.reduce(0, +)
        var first: [[ByteString]: UInt64] = [:]
        for (path, users) in counts.users { first[Array(path.prefix(1)), default: 0] += users }
        paths = Self.sorted(counts.users)
        next = Self.sorted(first)
    }

    private static func sorted(_ users: [[ByteString]: UInt64]) -> [Row] {
        users.map { (events: $0.key, users: $0.value) }.sorted { a, b in
            a.users != b.users ? a.users > b.users : PathCounts.isAscending(a.events, b.events)
        }
    }

    package var json: [JSONValue.Member] {
        let shown = paths.prefix(rows)
        // Users who did nothing have a row even if there are none; it does not count for `k`.
        let (some, none) = (next.filter { !$0.events.isEmpty }, next.first { $0.events.isEmpty }?.users ?? 0)
        var steps = some.prefix(rows).map { row -> JSONValue in
            ["event": .string(row.events[0]), "users": .integer(Int64(row.users)), "share": share(row.users)]
        }
        steps.append(["event": .null, "users": .integer(Int64(none)), "share": share(none)])
        return [
            .init("from", question.origin.json), .init("length", .count(question.length)),
            .init("events", names { if case .only(let names) = $0 { names } else { nil } }),
            .init("exclude_events", names { if case .except(let names) = $0 { names } else { nil } }),
            .init("k", .count(rows)), .init("users", .integer(Int64(users))),
            .init(
                "paths",
                .array(
                    shown.map { row in
                        ["events": .array(row.events.map { .string($0) }), "users": .integer(Int64(row.users)), "share": share(row.users)]
                    })),
            .init("other", rest("paths", paths)), .init("next", .array(steps)), .init("next_other", rest("events", some)),
        ]
    }

    private func names(_ pick: (PathQuestion.Events) -> [ByteString]?) -> JSONValue {
        pick(question.events).map { .array($0.map { .string($0) }) } ?? .null
    }

    /// The entries of a list that are not shown; null if all are shown.
    private func rest(_ what: ByteString, _ list: [Row]) -> JSONValue {
        let rest = list.dropFirst(rows)
        if rest.isEmpty { return .null }
        return .object([.init(what, .count(rest.count)), .init("users", .integer(Int64(rest.reduce(0) { $0 + $1.users })))])
    }

    private func share(_ part: UInt64) -> JSONValue { .number(Rate.of(part, users)) }
}

extension PathQuestion.Origin {
    fileprivate var json: JSONValue {
        switch self {
        case .dropped(let step): ["dropped": .count(step)]
        case .between(let first, let second): ["between": [.count(first), .count(second)]]
        }
    }
}
