import EventRules
import FunnelModel

/// The rules as `Protocol/RULES.md` words them, for one event at a time: no tables, no columns.
struct ReferenceRules {
    let rules: [EventRule]

    enum Result: Equatable {
        case kept(Event)
        case dropped(rule: Int)
        case rejected
    }

    func result(_ event: Event) -> Result {
        var event = event
        let isProfile = EventName.profiles.contains(event.name)
        if !isProfile {
            rename(&event.name)
            if let rule = match(event.name, { if case .dropEvents(let names, let match) = $0 { (names, match) } else { nil } }) {
                return .dropped(rule: rule)
            }
        }
        renameProperties(&event)
        event.properties.removeAll { property in
            mostSpecific(
                event.name,
                {
                    guard case .dropProperties(let names, let events) = $0, names.contains(property.key) else { return nil }
                    return (true, events)
                }) ?? false
        }
        guard castProperties(&event) else { return .rejected }
        if !isProfile { addDefaults(&event) }
        event.properties.sort { $0.key < $1.key }
        return .kept(event)
    }

    // MARK: - Names

    private func rename(_ name: inout ByteString) {
        var longest: (prefix: ByteString, other: ByteString)?
        for case .replacePrefix(let prefix, let other) in rules
        where name.bytes.starts(with: prefix.bytes) && prefix.count > longest?.prefix.count ?? 0 {
            longest = (prefix, other)
        }
        if let longest { set(&name, ByteString(longest.other.bytes + name.bytes.dropFirst(longest.prefix.count))) }
        if rules.contains(.lowerCaseEvents) { set(&name, lower(name)) }
        let rule = match(name) { if case .renameEvents(let names, let match, _) = $0 { (names, match) } else { nil } }
        if let rule, case .renameEvents(_, _, let other) = rules[rule] { name = other }
    }

    private func set(_ name: inout ByteString, _ new: ByteString) {
        if !new.isEmpty, new.count <= 256, new.bytes.first != 0, !EventName.profiles.contains(new) { name = new }
    }

    private func lower(_ name: ByteString) -> ByteString {
        ByteString(String(name.string.unicodeScalars.map { $0.isASCII ? Character($0.properties.lowercaseMapping) : Character($0) }))
    }

    /// The rule with the most specific match.
    private func match(_ name: ByteString, _ names: (EventRule) -> ([ByteString], NameMatch)?) -> Int? {
        var best: (weight: Int, rule: Int)?
        for (i, rule) in rules.enumerated() {
            guard let (listed, match) = names(rule) else { continue }
            for one in listed {
                let weight: Int
                switch match {
                case .exact: weight = one == name ? 2_000 : 0
                case .anyCase: weight = lower(one) == lower(name) ? 1_000 : 0
                case .prefix: weight = name.bytes.starts(with: one.bytes) ? one.count : 0
                }
                if weight > best?.weight ?? 0 { best = (weight, i) }
            }
        }
        return best?.rule
    }

    // MARK: - Properties

    /// The value of the rule for this event, or else of the rule for all.
    private func mostSpecific<Value>(_ event: ByteString, _ value: (EventRule) -> (Value, [ByteString]?)?) -> Value? {
        var forAll: Value?
        for rule in rules {
            guard let (found, events) = value(rule) else { continue }
            guard let events else {
                forAll = found
                continue
            }
            if events.contains(event) { return found }
        }
        return forAll
    }

    private func renameProperties(_ event: inout Event) {
        var kept: [ByteString: (rank: Int, value: PropertyValue)] = [:]
        for property in event.properties {
            var (key, rank) = (property.key, -1)
            var place = 0
            let found: (ByteString, Int)? = mostSpecific(event.name) { rule in
                guard case .renameProperties(let names, let other, let events) = rule else { return nil }
                defer { place += names.count }
                return names.firstIndex(of: property.key).map { ((other, place + $0), events) }
            }
            if let (other, at) = found, other != key { (key, rank) = (other, at) }
            if let before = kept[key], before.rank <= rank { continue }
            kept[key] = (rank, property.value)
        }
        event.properties = kept.map { .init($0.key, $0.value.value) }
    }

    private func castProperties(_ event: inout Event) -> Bool {
        var cast: [Event.Property] = []
        for property in event.properties {
            let rule: (CastTarget, CastFailure)? = mostSpecific(event.name) {
                guard case .castProperties(let names, let target, let failure, let events) = $0, names.contains(property.key) else {
                    return nil
                }
                return ((target, failure), events)
            }
            guard let (target, failure) = rule else {
                cast.append(property)
                continue
            }
            if let value = target.value(property.value) {
                cast.append(.init(property.key, value))
            } else if failure == .reject {
                return false
            } else if failure == .keep {
                cast.append(property)
            }
        }
        event.properties = cast
        return true
    }

    private func addDefaults(_ event: inout Event) {
        let keys = rules.compactMap { if case .defaultProperty(let key, _, _) = $0 { key } else { nil } }
        for key in Set(keys) where !event.properties.contains(where: { $0.key == key }) {
            let value: PropertyValue? = mostSpecific(event.name) {
                if case .defaultProperty(key, let value, let events) = $0 { (value, events) } else { nil }
            }
            if let value { event.properties.append(.init(key, value)) }
        }
    }
}
