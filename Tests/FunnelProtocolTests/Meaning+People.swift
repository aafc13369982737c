import FunnelModel
import FunnelProtocol

extension UserGroup {
    var meaning: JSONValue {
        [
            "property": .string(breakdown.property), "touch": .text(breakdown.touch.text),
            "value": value.map(tagged) ?? .null,
        ]
    }

    init(meaning m: JSONValue) throws {
        guard let touch = Breakdown.Touch(text: try m.text("touch")) else { throw MeaningError(field: "touch") }
        let value = m["value"] ?? .null
        self.init(Breakdown(property: try m.text("property"), touch: touch), value: value == .null ? nil : try untagged(value))
    }
}

extension UserExplanation.Moment {
    fileprivate var meaning: JSONValue { ["event": .string(event), "microseconds": number(time)] }

    fileprivate init(meaning m: JSONValue) throws { self.init(try m.text("event"), try m.int("microseconds")) }
}

private func place<T: CaseIterable & Equatable>(_ value: T) -> JSONValue {
    number(T.allCases.enumerated().first { $0.element == value }?.offset ?? -1)
}

private func placed<T: CaseIterable>(_ m: JSONValue, _ key: ByteString) throws -> T {
    let place: Int = try m.int(key)
    guard T.allCases.count > place else { throw MeaningError(field: key.string) }
    return Array(T.allCases)[place]
}

extension UserExplanation {
    var meaning: JSONValue {
        let open: [JSONValue.Member] = openUntil.map { [.init("open_until", number($0))] } ?? []
        return .object((whole.asObject ?? []) + open)
    }

    private var whole: JSONValue {
        [
            "depth": number(depth),
            "chosen": .array(
                chosen.map { chosen in
                    [
                        "position": number(chosen.position), "moment": chosen.moment.meaning,
                        "properties": .object(chosen.properties.map { .init($0.key, tagged($0.value)) }),
                    ]
                }),
            "stopped": stopped.map(\.meaning) ?? .null, "attempts_in_all": number(attemptsInAll),
            "attempts": .array(
                attempts.map {
                    [
                        "microseconds": number($0.time), "depth": number($0.depth), "took": number($0.took),
                        "not_chosen": place($0.notChosen),
                    ]
                }),
            "events_in_all": number(eventsInAll),
            "events": .array(events.map { ["moment": $0.moment.meaning, "positions": number($0.positions)] }),
        ]
    }

    init(meaning m: JSONValue) throws {
        self.init()
        depth = try m.int("depth")
        chosen = try m.list("chosen").map { row in
            let properties = try (row["properties"]?.asObject ?? []).map { Event.Property($0.key, try untagged($0.value)) }
            return Chosen(position: try row.int("position"), moment: try Moment(meaning: row["moment"] ?? .null), properties: properties)
        }
        if let stopped = m["stopped"], stopped != .null { self.stopped = try Miss(meaning: stopped) }
        attemptsInAll = try m.int("attempts_in_all")
        attempts = try m.list("attempts").map {
            Attempt(
                time: try $0.int("microseconds"), depth: try $0.int("depth"), took: try $0.int("took"),
                notChosen: try placed($0, "not_chosen"))
        }
        if m["open_until"] != nil { openUntil = try m.int("open_until") }
        eventsInAll = try m.int("events_in_all")
        events = try m.list("events").map {
            Entry(moment: try Moment(meaning: $0["moment"] ?? .null), positions: try $0.int("positions"))
        }
    }
}

extension UserExplanation.Miss {
    fileprivate var meaning: JSONValue {
        [
            "position": number(position), "reason": place(reason), "candidate": candidate?.meaning ?? .null,
            "blocker": blocker?.meaning ?? .null, "property": .string(property), "distance": number(distance),
        ]
    }

    fileprivate init(meaning m: JSONValue) throws {
        self.init(position: try m.int("position"), reason: try placed(m, "reason"))
        if let value = m["candidate"], value != .null { candidate = try .init(meaning: value) }
        if let value = m["blocker"], value != .null { blocker = try .init(meaning: value) }
        property = try m.text("property")
        distance = try m.int("distance")
    }
}

extension DiscoveryQuery {
    var meaning: JSONValue {
        switch self {
        case .events(let prefix): ["events": ["prefix": .string(prefix)]]
        case .properties(let event): ["properties": ["event": .string(event)]]
        case .values(let property, let event, let prefix):
            ["values": ["property": .string(property), "event": .string(event), "prefix": .string(prefix)]]
        case .totals: ["totals": [:]]
        case .names: ["names": [:]]
        }
    }

    init(meaning m: JSONValue) throws {
        if let events = m["events"] {
            self = .events(prefix: try events.text("prefix"))
        } else if let properties = m["properties"] {
            self = .properties(event: try properties.text("event"))
        } else if m["totals"] != nil {
            self = .totals
        } else if m["names"] != nil {
            self = .names
        } else {
            let values = m["values"] ?? .null
            self = .values(property: try values.text("property"), event: try values.text("event"), prefix: try values.text("prefix"))
        }
    }
}

extension Discovery {
    var meaning: JSONValue {
        switch self {
        case .events(let found):
            [
                "events": .array(
                    found.sorted { $0.key < $1.key }.map { name, entry in
                        [
                            "event": .string(name), "rows": number(entry.rows), "first": number(entry.times.lowerBound),
                            "last": number(entry.times.upperBound),
                        ]
                    })
            ]
        case .properties(let found):
            [
                "properties": .array(
                    found.sorted { $0.key < $1.key }.map { key, entry in
                        [
                            "property": .string(key), "strings": number(entry.strings), "numbers": number(entry.numbers),
                            "booleans": number(entry.booleans),
                        ]
                    })
            ]
        case .values(let found):
            [
                "values": .array(found.rows.keys.sortedAsText().map { ["value": tagged($0), "rows": number(found.rows[$0] ?? 0)] }),
                "truncated": .bool(found.isTruncated),
            ]
        case .totals(let found):
            [
                "totals": [
                    "rows": number(found.rows), "unsealed": number(found.unsealedRows), "segments": number(found.segments),
                    "users": number(found.users), "taken": number(found.taken), "newest": found.newestTime.map { number($0) } ?? .null,
                ]
            ]
        case .names(let found):
            [
                "names": [
                    "events_max": number(found.eventsMax), "events": .array(found.events.sorted().map { .string($0) }),
                    "properties_max": number(found.propertiesMax), "properties": .array(found.properties.sorted().map { .string($0) }),
                    "damaged": .array(found.damaged.map { .string($0) }), "torn_bytes": number(found.tornBytes),
                ]
            ]
        }
    }

    init(meaning m: JSONValue) throws {
        if m["events"] != nil {
            let rows = try m.list("events").map {
                (try $0.text("event"), EventRows(rows: try $0.int("rows"), times: try $0.int("first")...$0.int("last")))
            }
            self = .events(Dictionary(uniqueKeysWithValues: rows))
        } else if m["properties"] != nil {
            let rows = try m.list("properties").map {
                (
                    try $0.text("property"),
                    PropertyRows(strings: try $0.int("strings"), numbers: try $0.int("numbers"), booleans: try $0.int("booleans"))
                )
            }
            self = .properties(Dictionary(uniqueKeysWithValues: rows))
        } else if let m = m["totals"] {
            var totals = ProjectTotals()
            totals.rows = try m.int("rows")
            totals.unsealedRows = try m.int("unsealed")
            totals.segments = try m.int("segments")
            totals.users = try m.int("users")
            totals.taken = try m.int("taken")
            if let newest = m["newest"], newest != .null { totals.newestTime = try m.int("newest") }
            self = .totals(totals)
        } else if let m = m["names"] {
            var names = ProjectNames()
            names.eventsMax = try m.int("events_max")
            names.events = Set(try m.list("events").compactMap(\.asString))
            names.propertiesMax = try m.int("properties_max")
            names.properties = Set(try m.list("properties").compactMap(\.asString))
            names.damaged = try m.list("damaged").compactMap(\.asString)
            names.tornBytes = try m.int("torn_bytes")
            self = .names(names)
        } else {
            var found = ValueRows(isTruncated: try m.flag("truncated"))
            for row in try m.list("values") { found.rows[try untagged(row["value"] ?? .null)] = try row.int("rows") }
            self = .values(found)
        }
    }
}
