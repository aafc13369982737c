import FunnelModel
import FunnelProtocol

/// Paths and predictors, asked and answered.
extension Samples {
    static let behaviourQueries: [Sample] = [
        sample("paths after a drop-off", .paths(PathQuestion(.dropped(3), length: 5))),
        sample(
            "paths between two steps, of some events",
            .paths(PathQuestion(.between(1, 3), length: 1, events: .only(["Search", "Zo\u{EB}"])))),
        sample("paths without an event", .paths(PathQuestion(.dropped(2), length: 3, events: .except(["Heartbeat"])))),
        sample("predictors", .predictors(PredictorQuestion(step: 3, of: 2, properties: true))),
        sample("predictors among events alone", .predictors(PredictorQuestion(step: 3, of: 1, properties: false))),
    ]

    static let behaviourResults: [Sample] = {
        var paths = PathCounts()
        paths.users = [[]: 300, ["Search"]: 2, ["Search", "Search"]: 1, ["Help", "Search", "Zo\u{EB}", "Help", "Help"]: 70_000]
        var counts = PredictorCounts()
        counts.whole = .init(300, converted: 200)
        counts.events = ["Search": .init(150, converted: 149), "Help": .init(1)]
        counts.properties = [
            "plan": [.string("pro"): .init(300, converted: 200), .integer(-1): .init(1), .double(0.5): .init(2, converted: 1)],
            "trial": [.bool(true): .init(200, converted: 100)],
        ]
        counts.leftOut = ["url", "session"]
        return [
            sample("paths", .paths(paths)), sample("no paths", .paths(PathCounts())), sample("predictors", .predictors(counts)),
            sample("no predictors", .predictors(PredictorCounts())),
        ]
    }()

    private static func sample(_ name: String, _ report: PartialQuery.Report) -> Sample {
        Sample(name: name, kind: .partialQuery, message: .partialQuery(reporting(report)))
    }

    private static func sample(_ name: String, _ report: PartialResult.Report) -> Sample {
        Sample(name: name, kind: .partialResult, message: .partialResult(reporting(report, counts: [0, 0])))
    }
}

extension PathQuestion {
    var meaning: JSONValue {
        var members: [JSONValue.Member]
        switch origin {
        case .dropped(let step): members = [.init("dropped", .count(step))]
        case .between(let first, let second): members = [.init("between", [.count(first), .count(second)])]
        }
        members.append(.init("length", .count(length)))
        switch events {
        case .all: break
        case .only(let names): members.append(.init("events", .array(names.map { .string($0) })))
        case .except(let names): members.append(.init("exclude_events", .array(names.map { .string($0) })))
        }
        return .object(members)
    }

    init(meaning m: JSONValue) throws {
        func names(_ key: ByteString) throws -> [ByteString]? { m[key] == nil ? nil : try m.list(key).compactMap(\.asString) }
        let steps = try m["between"] == nil ? [] : m.list("between").map { Int($0.int) }
        self.init(
            try steps.isEmpty ? .dropped(m.int("dropped")) : .between(steps[0], steps[1]), length: try m.int("length"),
            events: try names("events").map { .only($0) } ?? names("exclude_events").map { .except($0) } ?? .all)
    }
}

extension PathCounts {
    var meaning: JSONValue {
        .array(
            users.keys.sorted(by: Self.isAscending).map { path in
                ["events": .array(path.map { .string($0) }), "users": number(users[path] ?? 0)]
            })
    }

    init(meaning rows: [JSONValue]) throws {
        self.init()
        for row in rows { users[try row.list("events").compactMap(\.asString)] = try row.int("users") }
    }
}

extension PredictorQuestion {
    var meaning: JSONValue { ["of": .count(of), "step": .count(step), "properties": .bool(properties)] }

    init(meaning m: JSONValue) throws {
        self.init(step: try m.int("step"), of: try m.int("of"), properties: m["properties"] == true)
    }
}

extension PredictorCounts {
    var meaning: JSONValue {
        [
            "users": pair(whole),
            "events": .array(events.keys.sorted().map { ["event": .string($0), "users": pair(events[$0] ?? whole)] }),
            "properties": .array(
                properties.keys.sorted().map { name in
                    let values = properties[name] ?? [:]
                    let rows = values.keys.sortedAsText().map { value -> JSONValue in
                        ["value": tagged(value), "users": pair(values[value] ?? whole)]
                    }
                    return ["property": .string(name), "values": .array(rows)]
                }),
            "left_out": .array(leftOut.sorted().map { .string($0) }),
        ]
    }

    init(meaning m: JSONValue) throws {
        self.init()
        func users(_ m: JSONValue) throws -> Users {
            let pair = try m.list("users").map { UInt64($0.int) }
            return Users(pair[0], converted: pair[1])
        }
        whole = try users(m)
        for row in try m.list("events") { events[try row.text("event")] = try users(row) }
        for row in try m.list("properties") {
            var values: [PropertyValue: Users] = [:]
            for value in try row.list("values") { values[try untagged(value["value"] ?? .null)] = try users(value) }
            properties[try row.text("property")] = values
        }
        leftOut = Set(try m.list("left_out").compactMap(\.asString))
    }

    private func pair(_ users: Users) -> JSONValue { [number(users.count), number(users.converted)] }
}
