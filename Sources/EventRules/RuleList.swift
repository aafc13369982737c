import FunnelModel

/// The normalisation rules of one project, in the order of their document.
package struct RuleList: Equatable, Sendable {
    package var rules: [EventRule]
    /// The revision that these rules are to replace; nil: any.
    package var replaces: UInt64?

    package init(_ rules: [EventRule] = [], replaces: UInt64? = nil) {
        self.rules = rules
        self.replaces = replaces
    }
}

// MARK: - As JSON

extension RuleList {
    /// The rules as a document: lists written out, defaults left out.
    package var json: JSONValue { ["rules": .array(rules.map(\.json))] }
}

extension EventRule {
    package var json: JSONValue {
        var members: [JSONValue.Member]
        switch self {
        case .replacePrefix(let prefix, let other):
            members = [.init(kind.member, .string(prefix)), .init("with", .string(other))]
        case .lowerCaseEvents: members = [.init(kind.member, true)]
        case .renameEvents(let names, let match, let name):
            members = [.init(kind.member, Self.list(names))]
            if match != .exact { members.append(.init("match", .text(match.rawValue))) }
            members.append(.init("to", .string(name)))
        case .dropEvents(let names, let match):
            members = [.init(kind.member, Self.list(names))]
            if match != .exact { members.append(.init("match", .text(match.rawValue))) }
        case .renameProperties(let names, let name, _):
            members = [.init(kind.member, Self.list(names)), .init("to", .string(name))]
        case .dropProperties(let names, _): members = [.init(kind.member, Self.list(names))]
        case .castProperties(let names, let target, let failure, _):
            members = [.init(kind.member, Self.list(names)), .init("to", .text(target.rawValue))]
            if failure != .keep { members.append(.init("otherwise", .text(failure.rawValue))) }
        case .defaultProperty(let name, let value, _):
            members = [.init(kind.member, .string(name)), .init("value", value.json)]
        case .missingTimestamp(let endpoints, let action):
            members = [
                .init(kind.member, .array(endpoints.map { .text($0.rawValue) })), .init("to", .text(action.rawValue)),
            ]
        }
        if let events { members.append(.init("events", Self.list(events))) }
        return .object(members)
    }

    private static func list(_ names: [ByteString]) -> JSONValue { .array(names.map { .string($0) }) }

    /// The events that a rule about properties is for; nil: all, or the rule is about something else.
    var events: [ByteString]? {
        switch self {
        case .renameProperties(_, _, let events), .dropProperties(_, let events), .castProperties(_, _, _, let events),
            .defaultProperty(_, _, let events):
            events
        case .replacePrefix, .lowerCaseEvents, .renameEvents, .dropEvents, .missingTimestamp: nil
        }
    }

    /// Names of the rule as `RuleLimits.entries` counts them.
    var entries: Int {
        switch self {
        case .replacePrefix, .lowerCaseEvents: 1
        case .renameEvents(let names, _, _), .dropEvents(let names, _): names.count
        case .renameProperties(let names, _, _), .dropProperties(let names, _), .castProperties(let names, _, _, _):
            names.count * (events?.count ?? 1)
        case .defaultProperty: events?.count ?? 1
        case .missingTimestamp(let endpoints, _): endpoints.count
        }
    }
}
