import FunnelModel

/// Reads one rule of a document and collects its faults.
struct RuleReader {
    private var reader: FieldReader
    private let value: JSONValue
    /// Such as `rules[2]`.
    private let place: String

    var faults: [FieldFault] { reader.faults }

    init(_ value: JSONValue, position: Int) {
        self.value = value
        place = "rules[\(position)]"
        reader = FieldReader(value, path: place + ".")
    }

    /// The rule; nil if it has a fault.
    mutating func read() -> EventRule? {
        guard value.asObject != nil, let kind = kind() else { return nil }
        let rule = read(kind)
        reader.rejectUnknown("member of \(kind.rawValue)")
        return reader.faults.isEmpty ? rule : nil
    }

    /// The kind that the members name. Exactly one must.
    private mutating func kind() -> EventRule.Kind? {
        let members = value.asObject ?? []
        let found = EventRule.Kind.allCases.filter { kind in members.contains { $0.key == kind.member } }
        if found.count == 1 { return found[0] }
        let names = EventRule.Kind.allCases.map(\.rawValue)
        if found.isEmpty {
            let nearest = members.lazy.flatMap { NearestNames.of($0.key.string, among: names, count: 1) }.first
            reader.fault(place, "must have one of \(names.joined(separator: ", "))" + (nearest.map { "; did you mean \($0)?" } ?? ""))
        } else {
            reader.fault(place, "has \(found.map(\.rawValue).joined(separator: " and ")); a rule has one of them")
        }
        return nil
    }

    private mutating func read(_ kind: EventRule.Kind) -> EventRule? {
        let member = kind.member
        switch kind {
        case .replacePrefix:
            let (prefix, other) = (name(member, .event), replacement())
            guard let prefix, let other else { return nil }
            return .replacePrefix(prefix, with: other)
        case .lowerCaseEvents:
            if reader.value(member) != .bool(true) { reader.faultAt(member, "must be true; leave the rule out otherwise") }
            return .lowerCaseEvents
        case .renameEvents:
            let (names, match, name) = (list(member, .event), match(), name("to", .event))
            guard let names, let name else { return nil }
            return .renameEvents(names, match, to: name)
        case .dropEvents:
            let (names, match) = (list(member, .event), match())
            return names.map { .dropEvents($0, match) }
        case .renameProperties:
            let (names, name, events) = (list(member, .property), name("to", .newProperty), events())
            guard let names, let name else { return nil }
            return .renameProperties(names, to: name, events: events)
        case .dropProperties:
            let (names, events) = (list(member, .property), events())
            return names.map { .dropProperties($0, events: events) }
        case .castProperties:
            let (names, target, events) = (list(member, .property), required("to", CastTarget.self), events())
            let failure: CastFailure? = reader.choice("otherwise")
            guard let names, let target else { return nil }
            return .castProperties(names, to: target, otherwise: failure ?? .keep, events: events)
        case .defaultProperty:
            let (name, value, events) = (name(member, .newProperty), defaultValue(), events())
            rejectProfiles(events)
            guard let name, let value else { return nil }
            return .defaultProperty(name, value: value, events: events)
        case .missingTimestamp:
            let (endpoints, action) = (endpoints(member), required("to", MissingTimestamp.self))
            guard let endpoints, let action else { return nil }
            return .missingTimestamp(endpoints, to: action)
        }
    }

    // MARK: - Members

    /// What a name is of.
    private enum Noun {
        /// An event that a rule may change.
        case event
        /// An event, or a profile record.
        case anyEvent
        case property
        /// A property that a rule makes.
        case newProperty
        case endpoint
    }

    private mutating func name(_ member: ByteString, _ noun: Noun) -> ByteString? {
        guard let value = reader.value(member) else {
            reader.faultAt(member, "is required")
            return nil
        }
        return name(value, noun, reader.path + member.string)
    }

    /// A list of names, or one name.
    private mutating func list(_ member: ByteString, _ noun: Noun) -> [ByteString]? {
        guard let value = reader.value(member) else {
            reader.faultAt(member, "is required")
            return nil
        }
        guard let values = value.asArray else { return name(value, noun, reader.path + member.string).map { [$0] } }
        guard !values.isEmpty else {
            reader.faultAt(member, "must have at least one name")
            return nil
        }
        var names: [ByteString] = []
        for (i, value) in values.enumerated() {
            if let name = name(value, noun, "\(reader.path)\(member.string)[\(i)]") { names.append(name) }
            if reader.faults.count > RuleLimits.faults { break }
        }
        return names
    }

    private mutating func name(_ value: JSONValue, _ noun: Noun, _ field: String) -> ByteString? {
        guard let text = value.asString else {
            // YAML has numbers and booleans where an author may mean a name.
            let isWord = value.asDouble != nil || value.asBool != nil
            reader.fault(field, "must be text, not \(value.typeName)" + (isWord ? "; put it in quotes" : ""))
            return nil
        }
        if let reason = Self.fault(text, noun) {
            reader.fault(field, reason)
            return nil
        }
        return text
    }

    private static func fault(_ name: ByteString, _ noun: Noun) -> String? {
        if name.isEmpty { return "must not be empty" }
        switch noun {
        case .event, .anyEvent:
            if name.count > Limits.eventNameBytes { return tooLong(name, Limits.eventNameBytes) }
            if EventName.isReserved(name) { return EventName.reservedReason }
            if noun == .event, EventName.profiles.contains(name) {
                return "\"\(name.string)\" is a profile record, which rules neither rename, drop nor make"
            }
        case .property, .newProperty:
            if name.count > Limits.propertyKeyBytes { return tooLong(name, Limits.propertyKeyBytes) }
            if name.bytes.first == 0 { return EventName.reservedReason }
            if noun == .newProperty, name.bytes.starts(with: "user.".utf8) {
                return "must not begin with user., which names user properties in queries"
            }
        case .endpoint: break
        }
        return nil
    }

    private static func tooLong(_ name: ByteString, _ limit: Int) -> String { "has \(name.count) bytes; the limit is \(limit)" }

    /// What takes the place of a prefix; it may be empty.
    private mutating func replacement() -> ByteString? {
        guard let value = reader.value("with") else {
            reader.faultAt("with", "is required; \"\" removes the prefix")
            return nil
        }
        if value == .string("") { return "" }
        return name(value, .event, reader.path + "with")
    }

    private mutating func match() -> NameMatch { reader.choice("match") ?? .exact }

    private mutating func required<T: RawRepresentable & CaseIterable>(_ member: ByteString, _: T.Type) -> T? where T.RawValue == String {
        let before = reader.faults.count
        let value: T? = reader.choice(member)
        if value == nil, reader.faults.count == before {
            reader.faultAt(member, "is required: one of \(T.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        return value
    }

    private mutating func events() -> [ByteString]? { reader.value("events") == nil ? nil : list("events", .anyEvent) }

    /// A default in a profile record would replace what an earlier record said of the user.
    private mutating func rejectProfiles(_ events: [ByteString]?) {
        for (i, event) in (events ?? []).enumerated() where EventName.profiles.contains(event) {
            reader.fault(reader.path + "events[\(i)]", "\"\(event.string)\" is a profile record, which takes no defaults")
        }
    }

    private mutating func defaultValue() -> PropertyValue? {
        guard let given = reader.value("value") else {
            reader.faultAt("value", "is required")
            return nil
        }
        guard let value = PropertyValue(scalar: given) else {
            reader.faultAt("value", "must be text, a finite number, true or false, not \(given.typeName)")
            return nil
        }
        if case .string(let text) = value, text.count > RuleLimits.valueBytes {
            reader.faultAt("value", Self.tooLong(text, RuleLimits.valueBytes))
        }
        return value
    }

    private mutating func endpoints(_ member: ByteString) -> [EventEndpoint]? {
        guard let names = list(member, .endpoint) else { return nil }
        return names.compactMap { name in
            if let endpoint = EventEndpoint(rawValue: name.string) { return endpoint }
            let known = EventEndpoint.allCases.map(\.rawValue).joined(separator: ", ")
            reader.faultAt(member, "\"\(name.string.prefix(60))\" is no endpoint; known are \(known)")
            return nil
        }
    }
}
