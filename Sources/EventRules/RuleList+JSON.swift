import FunnelModel

extension RuleList {
    /// Reads and checks rules from the text of a JSON document. Throws `InvalidDocument` with all faults, each with the position
    /// of its rule and the member: `rules[2].to`.
    package static func parse(_ text: [UInt8]) throws(InvalidDocument) -> RuleList {
        guard text.count <= RuleLimits.documentBytes else { throw InvalidDocument([tooLong(text.count)]) }
        let document: JSONValue
        do throws(JSONError) {
            document = try JSONParser.parseStrictly(text, range: ByteOrderMark.length(in: text)..<text.count)
        } catch {
            throw InvalidDocument([FieldFault("body", "\(error)")])
        }
        return try parse(document)
    }

    /// The same of a document that was parsed already.
    package static func parse(_ document: JSONValue) throws(InvalidDocument) -> RuleList {
        var reader = FieldReader(document)
        guard document != .null else { throw InvalidDocument([FieldFault("body", "must have a list \"rules\"")]) }
        var positions: [Int] = []
        var list = RuleList(replaces: reader.integer("revision", in: 0 ... .max).map { UInt64($0) })
        let value = reader.value("rules")
        // The other members of a document of another shape say nothing new.
        if document.asObject != nil { reader.rejectUnknown() }
        if let given = value?.asArray {
            if given.count > RuleLimits.rules {
                reader.fault("rules", "has \(given.count) rules; the limit is \(RuleLimits.rules)")
            } else {
                let rules = read(given, &reader)
                list.rules = rules.map(\.rule)
                positions = rules.map(\.position)
            }
        } else if document.asObject != nil {
            reader.fault("rules", value.map { "must be a list of rules, not \($0.typeName)" } ?? "is required")
        }
        reader.merge(list.conflicts(positions))
        guard reader.faults.isEmpty else { throw InvalidDocument(shortened(reader.faults)) }
        return list
    }

    /// The rules without a fault, and where each is in the document.
    private static func read(_ given: [JSONValue], _ reader: inout FieldReader) -> [(position: Int, rule: EventRule)] {
        var rules: [(position: Int, rule: EventRule)] = []
        for (i, value) in given.enumerated() {
            var rule = RuleReader(value, position: i)
            if let read = rule.read() { rules.append((i, read)) }
            reader.merge(rule.faults)
            // An author cannot use more, and a hostile document must not have a long answer.
            if reader.faults.count > RuleLimits.faults { break }
        }
        return rules
    }

    private static func shortened(_ faults: [FieldFault]) -> [FieldFault] {
        guard faults.count > RuleLimits.faults else { return faults }
        return faults.prefix(RuleLimits.faults) + [FieldFault("rules", "more faults are not listed; correct these first")]
    }

    private static func tooLong(_ bytes: Int) -> FieldFault {
        FieldFault("rules", "take \(bytes) bytes as JSON; the limit is \(RuleLimits.documentBytes)")
    }
}

// MARK: - Faults of several rules

extension RuleList {
    /// What no rule alone shows: names that two rules have, and limits of all rules together. `positions` are those of the rules.
    private func conflicts(_ positions: [Int]) -> [FieldFault] {
        let entries = rules.reduce(0) { $0 + $1.entries }
        if entries > RuleLimits.entries {
            let what = "names, and pairs of a property and an event"
            return [FieldFault("rules", "have \(entries) \(what); the limit is \(RuleLimits.entries)")]
        }
        var names = OwnedNames()
        for (i, rule) in zip(positions, rules) { names.add(rule, position: i) }
        var faults = names.faults
        let defaults = rules.count { $0.kind == .defaultProperty }
        if defaults > RuleLimits.defaults {
            faults.append(FieldFault("rules", "have \(defaults) rules default_property; the limit is \(RuleLimits.defaults)"))
        }
        let bytes = json.encode().count
        if bytes > RuleLimits.documentBytes { faults.append(Self.tooLong(bytes)) }
        return faults
    }
}

/// The names that rules have. Two rules of one kind for the same name would contradict each other.
private struct OwnedNames {
    private struct Name: Hashable {
        var kind: EventRule.Kind
        var match: NameMatch
        var name: ByteString
        /// Of a rule about properties; empty: all events.
        var event: ByteString
    }

    private var owners: [Name: Int] = [:]
    private(set) var faults: [FieldFault] = []

    mutating func add(_ rule: EventRule, position: Int) {
        switch rule {
        case .replacePrefix(let prefix, _): own(rule, [prefix], at: position, isList: false)
        case .lowerCaseEvents: own(rule, [""], at: position, isList: false)
        case .renameEvents(let names, let match, _), .dropEvents(let names, let match):
            own(rule, names, match, at: position)
        case .renameProperties(let names, _, _), .dropProperties(let names, _), .castProperties(let names, _, _, _):
            own(rule, names, at: position)
        case .defaultProperty(let name, _, _): own(rule, [name], at: position, isList: false)
        case .missingTimestamp(let endpoints, _): own(rule, endpoints.map { ByteString($0.rawValue) }, at: position)
        }
    }

    private mutating func own(
        _ rule: EventRule, _ names: [ByteString], _ match: NameMatch = .exact, at position: Int, isList: Bool = true
    ) {
        for (i, name) in names.enumerated() {
            for event in rule.events ?? [""] {
                let key = Name(kind: rule.kind, match: match, name: match == .anyCase ? name.lowerCased : name, event: event)
                guard let owner = owners.updateValue(position, forKey: key) else { continue }
                let field = "rules[\(position)].\(rule.kind.rawValue)" + (isList ? "[\(i)]" : "")
                let what = name.isEmpty ? "the rule" : "\"\(name.string)\"" + (event.isEmpty ? "" : " of \"\(event.string)\"")
                faults.append(FieldFault(field, "\(what) is in rules[\(owner)] already; give it once"))
                return
            }
        }
    }
}
