extension FunnelDefinition {
    /// Parses and checks a definition. Unknown members are faults; all faults are reported at once.
    package static func parse(_ value: JSONValue, path: String = "") throws(InvalidDocument) -> FunnelDefinition {
        var reader = FieldReader(value, path: path)
        var definition = FunnelDefinition(steps: [])
        definition.id = reader.string("funnel_id")
        if let id = definition.id, !isValidID(id) {
            reader.faultAt("funnel_id", "must match [A-Za-z0-9_.-]{1,\(Limits.funnelIDBytes)}")
        }
        if let preset: Preset = reader.choice("preset") {
            definition.preset = preset
            preset.apply(to: &definition)
        }
        definition.clock = reader.choice("clock") ?? definition.clock
        definition.anchor = reader.choice("window_anchor") ?? definition.anchor
        definition.entry = reader.choice("entry") ?? definition.entry
        definition.isDefault = reader.bool("default") ?? false
        let tick = definition.clock.tick
        definition.window =
            reader.duration("window_duration", in: tick...Limits.window, tick: tick) ?? definition.window
        readOrder(&reader, into: &definition)
        if case .flexible(let limit) = definition.order, !limit.isMultiple(of: tick), reader.faults.isEmpty {
            reader.faultAt("clock", "is coarser than the preset's limit of \(limit); give conversion_order too")
        }
        readSteps(&reader, into: &definition)
        readEventTypes(&reader, into: &definition)
        readProbability(&reader, into: &definition)
        readExclusions(&reader, into: &definition)
        readHeld(&reader, into: &definition)
        definition.countBy = readCountBy(&reader) ?? definition.countBy
        definition.sessionGap = readSessionGap(&reader) ?? definition.sessionGap
        reader.rejectUnknown()
        reader.merge(definition.conflicts(path: path))
        if !reader.faults.isEmpty { throw InvalidDocument(reader.faults) }
        return definition
    }

    package static func isValidID(_ id: ByteString) -> Bool {
        (1...Limits.funnelIDBytes).contains(id.count)
            && id.bytes.allSatisfy { byte in
                switch byte {
                case 48...57, 65...90, 97...122, UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "-"): return true
                default: return false
                }
            }
    }

    private static func readOrder(_ reader: inout FieldReader, into definition: inout FunnelDefinition) {
        let key: ByteString = "conversion_order"
        guard let value = reader.value(key) else { return }
        let tick = definition.clock.tick
        switch value {
        case .string("sequential"): definition.order = .sequential
        case .string("strict"): definition.order = .strict
        case .string("any"): definition.order = .any
        case .object:
            var outer = FieldReader(value, path: reader.path + "conversion_order.")
            guard let flexible = outer.value("flexible") else {
                outer.rejectUnknown()
                reader.merge(outer.faults)
                reader.faultAt(key, "an object must be {\"flexible\": {\"limit\": \"1h\"}}")
                return
            }
            var inner = FieldReader(flexible, path: reader.path + "conversion_order.flexible.")
            if let limit = inner.duration("limit", in: tick...Limits.orderLimit, tick: tick) {
                definition.order = .flexible(limit: limit)
            } else if inner.faults.isEmpty {
                inner.faultAt("limit", "is required")
            }
            inner.rejectUnknown()
            outer.rejectUnknown()
            reader.merge(outer.faults + inner.faults)
        default:
            reader.faultAt(key, "must be \"sequential\", \"strict\", \"any\" or {\"flexible\": {\"limit\": \"1h\"}}")
        }
    }

    private static func readSteps(_ reader: inout FieldReader, into definition: inout FunnelDefinition) {
        guard let value = reader.value("steps") else { return reader.faultAt("steps", "is required") }
        guard let list = value.asArray else { return reader.faultAt("steps", "must be a list, not \(value.typeName)") }
        guard (1...Limits.stepsPerFunnel).contains(list.count) else {
            return reader.faultAt("steps", "must have 1 to \(Limits.stepsPerFunnel) steps; it has \(list.count)")
        }
        for (i, entry) in list.enumerated() {
            let path = "\(reader.path)steps[\(i)]"
            if let name = entry.asString {
                if let reason = nameFault(name) { reader.fault(path, reason) }
                definition.steps.append(Step(name))
            } else {
                var inner = FieldReader(entry, path: path + ".")
                definition.steps.append(readStep(&inner, tick: definition.clock.tick))
                reader.merge(inner.faults)
            }
        }
    }

    private static func readStep(_ reader: inout FieldReader, tick: Microseconds) -> Step {
        let name = reader.string("name")
        if let name {
            if let reason = nameFault(name) { reader.faultAt("name", reason) }
        } else {
            reader.faultAt("name", "is required")
        }
        var step = Step(name ?? "")
        step.events = readEvents(&reader) ?? .ownName
        step.filters = readFilters(&reader)
        step.isOptional = reader.bool("optional") ?? false
        step.window = reader.duration("window_duration", in: tick...Limits.window, tick: tick)
        reader.rejectUnknown()
        return step
    }

    static func readEvents(_ reader: inout FieldReader) -> EventSet? {
        guard let value = reader.value("events") else { return nil }
        let names = (value.asArray ?? []).compactMap(\.asString)
        if names.isEmpty || names.count != value.asArray?.count || names.count > Limits.eventsPerStep {
            reader.faultAt("events", "must be a list of 1 to \(Limits.eventsPerStep) event names")
        }
        for name in names { if let reason = nameFault(name) { reader.faultAt("events", reason) } }
        guard names.contains("*") else { return .named(names) }
        if names.count > 1 { reader.faultAt("events", "\"*\" is any event and can't be in a list with others: give [\"*\"] or the names") }
        return .any
    }

    /// The conditions in the member `where` of a step, an exclusion or a segment; empty if absent.
    package static func readFilters(_ reader: inout FieldReader) -> [Predicate] {
        guard let value = reader.value("where") else { return [] }
        guard let list = value.asArray, list.count <= Limits.filtersPerStep else {
            reader.faultAt("where", "must be a list of at most \(Limits.filtersPerStep) conditions")
            return []
        }
        var filters: [Predicate] = []
        for (i, entry) in list.enumerated() {
            var inner = FieldReader(entry, path: "\(reader.path)where[\(i)].")
            if let filter = readFilter(&inner) { filters.append(filter) }
            inner.rejectUnknown()
            reader.merge(inner.faults)
        }
        return filters
    }

    private static func readFilter(_ reader: inout FieldReader) -> Predicate? {
        let property = reader.string("property") ?? ""
        if property.isEmpty || property.count > Limits.propertyKeyBytes {
            reader.faultAt("property", "must be a property name of 1 to \(Limits.propertyKeyBytes) bytes")
        }
        if property.userPropertyName?.isEmpty == true { reader.faultAt("property", "must have a property name after \"user.\"") }
        let comparison: Predicate.Comparison? = reader.choice("op")
        let value = reader.value("value")
        guard let comparison else {
            if reader.faults.isEmpty { reader.faultAt("op", "is required") }
            return nil
        }
        let takesList = comparison == .isIn || comparison == .notIn
        let takesNone = comparison == .exists || comparison == .notExists
        let raw = takesNone ? [] : (takesList ? value?.asArray ?? [] : value.map { [$0] } ?? [])
        let values = raw.compactMap(PropertyValue.init(scalar:))
        if takesNone, value != nil { reader.faultAt("value", "has no meaning with \(comparison.rawValue)") }
        if takesList, values.isEmpty || values.count != raw.count || values.count > Limits.valuesPerFilter {
            reader.faultAt("value", "must be a list of 1 to \(Limits.valuesPerFilter) strings, numbers or booleans")
        }
        if !takesNone, !takesList, values.count != 1 { reader.faultAt("value", "must be a string, a number or a boolean") }
        if comparison == .contains || comparison == .startsWith, !values.isEmpty {
            guard case .string = values[0] else {
                reader.faultAt("value", "must be a string with \(comparison.rawValue)")
                return nil
            }
        }
        return Predicate(property: property, comparison: comparison, values: values)
    }

    private static func readEventTypes(_ reader: inout FieldReader, into definition: inout FunnelDefinition) {
        guard let value = reader.value("event_types") else { return }
        guard let members = value.asObject, members.count <= Limits.eventTypes else {
            return reader.faultAt("event_types", "must be an object of at most \(Limits.eventTypes) events")
        }
        for member in members {
            let field = "\(reader.path)event_types.\(member.key.string)"
            if let reason = nameFault(member.key) { reader.fault(field, reason) }
            guard let step = member.value.asString, definition.steps.contains(where: { $0.name == step }) else {
                reader.fault(field, "names no step")
                continue
            }
            if definition.eventTypes.contains(where: { $0.event == member.key }) { reader.fault(field, "is given twice") }
            definition.eventTypes.append(EventType(event: member.key, step: step))
        }
    }

    private static func readProbability(_ reader: inout FieldReader, into definition: inout FunnelDefinition) {
        definition.probability = Array(repeating: 0.5, count: definition.steps.count)
        guard let value = reader.value("probability") else { return }
        func weight(_ value: JSONValue, _ field: String) -> Double {
            if let number = value.asDouble, (0...1).contains(number) { return number }
            reader.fault(field, "must be a number from 0 to 1")
            return 0.5
        }
        if let members = value.asObject {
            for member in members {
                let field = "\(reader.path)probability.\(member.key.string)"
                let places = definition.steps.indices.filter { definition.steps[$0].name == member.key }
                if places.isEmpty { reader.fault(field, "names no step") }
                let p = weight(member.value, field)
                for i in places { definition.probability[i] = p }
            }
        } else {
            let p = weight(value, reader.path + "probability")
            definition.probability = definition.probability.map { _ in p }
        }
    }

    private static func nameFault(_ name: ByteString) -> String? {
        if EventName.isReserved(name) { return "a name " + EventName.reservedReason }
        return (1...Limits.eventNameBytes).contains(name.count) ? nil : "a name must have 1 to \(Limits.eventNameBytes) bytes"
    }
}
