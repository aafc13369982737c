extension FunnelDefinition {
    /// The effective definition with every default written out; parsing it gives an equal definition.
    package var json: JSONValue { json(leavesOutCounting: false) }

    /// The definition in messages between services: as `json`, without `count_by` and `session_gap` where they are the defaults.
    /// Its bytes are those of release 0.1.
    package var wireJSON: JSONValue { json(leavesOutCounting: true) }

    private func json(leavesOutCounting: Bool) -> JSONValue {
        var members: [JSONValue.Member] = []
        if let id { members.append(.init("funnel_id", .string(id))) }
        members.append(.init("steps", .array(steps.map(\.json))))
        members.append(.init("event_types", .object(eventTypes.map { .init($0.event, .string($0.step)) })))
        members.append(.init("probability", probabilityJSON))
        members.append(.init("window_duration", .text(window.description)))
        members.append(.init("window_anchor", .text(anchor.rawValue)))
        members.append(.init("conversion_order", order.json))
        members.append(.init("clock", .text(clock.rawValue)))
        members.append(.init("entry", .text(entry.rawValue)))
        // Exclusions and held properties are written only if the definition has them.
        if !exclusions.isEmpty { members.append(.init("exclude", .array(exclusions.map(\.json)))) }
        if !held.isEmpty { members.append(.init("hold_constant", .array(held.map(\.json)))) }
        if !leavesOutCounting || countBy != .users || preset == .mixpanelTotals1 {
            members.append(.init("count_by", .string(countBy.text)))
        }
        if !leavesOutCounting || sessionGap != Self.defaultSessionGap {
            members.append(.init("session_gap", .text(sessionGap.description)))
        }
        members.append(.init("default", .bool(isDefault)))
        if let preset { members.append(.init("preset", .text(preset.rawValue))) }
        return .object(members)
    }

    /// The rule set's name, echoed in answers.
    package var rules: String { (preset ?? .sluice1).rawValue }

    private var probabilityJSON: JSONValue {
        if let first = probability.first, probability.allSatisfy({ $0 == first }) { return .double(first) }
        var members: [JSONValue.Member] = []
        for (i, step) in steps.enumerated() where !members.contains(where: { $0.key == step.name }) {
            members.append(.init(step.name, .double(probability[i])))
        }
        return .object(members)
    }
}

extension FunnelDefinition.ConversionOrder {
    package var json: JSONValue {
        switch self {
        case .sequential: return "sequential"
        case .flexible(let limit): return ["flexible": ["limit": .text(limit.description)]]
        case .strict: return "strict"
        case .any: return "any"
        }
    }
}

extension FunnelDefinition.Step {
    fileprivate var json: JSONValue {
        var members: [JSONValue.Member] = [.init("name", .string(name))]
        if let events = events.json { members.append(.init("events", events)) }
        if !filters.isEmpty { members.append(.init("where", .array(filters.map(\.json)))) }
        if isOptional { members.append(.init("optional", true)) }
        if let window { members.append(.init("window_duration", .text(window.description))) }
        return members.count == 1 ? .string(name) : .object(members)
    }
}

extension FunnelDefinition.EventSet {
    /// Nil for `.ownName`.
    fileprivate var json: JSONValue? {
        switch self {
        case .ownName: nil
        case .any: ["*"]
        case .named(let names): .array(names.map { .string($0) })
        }
    }
}

extension FunnelDefinition.Exclusion {
    fileprivate var json: JSONValue {
        var members: [JSONValue.Member] = []
        if let events = events.json { members.append(.init("events", events)) }
        if !filters.isEmpty { members.append(.init("where", .array(filters.map(\.json)))) }
        members.append(.init("after", .integer(Int64(after))))
        members.append(.init("before", .integer(Int64(before))))
        members.append(.init("effect", .text(effect.rawValue)))
        return .object(members)
    }
}

extension FunnelDefinition.HeldProperty {
    fileprivate var json: JSONValue {
        switch self {
        case .everyStep(let name): .string(name)
        case .byStep(let names): .array(names.map { .string($0) })
        }
    }
}

extension FunnelDefinition.CountBy {
    /// The text in definitions and queries.
    package var text: ByteString {
        switch self {
        case .users: "users"
        case .attempts: "attempts"
        case .sessions: "sessions"
        case .property(let name): ByteString("property:".utf8 + name.bytes)
        }
    }
}

extension Predicate {
    fileprivate var json: JSONValue {
        var members: [JSONValue.Member] = [.init("property", .string(property)), .init("op", .text(comparison.rawValue))]
        switch comparison {
        case .exists, .notExists: break
        case .isIn, .notIn: members.append(.init("value", .array(values.map(\.json))))
        default: members.append(.init("value", values.first?.json ?? .null))
        }
        return .object(members)
    }
}
