/// Reading of `exclude`, `hold_constant`, `count_by` and `session_gap`.
extension FunnelDefinition {
    static func readExclusions(_ reader: inout FieldReader, into definition: inout FunnelDefinition) {
        guard let value = reader.value("exclude") else { return }
        guard let list = value.asArray, list.count <= Limits.exclusions else {
            return reader.faultAt("exclude", "must be a list of at most \(Limits.exclusions) exclusions")
        }
        let effect = (definition.preset ?? .sluice1).exclusionEffect
        for (i, entry) in list.enumerated() {
            var inner = FieldReader(entry, path: "\(reader.path)exclude[\(i)].")
            if let exclusion = readExclusion(&inner, steps: definition.steps.count, effect: effect) {
                definition.exclusions.append(exclusion)
            }
            reader.merge(inner.faults)
        }
    }

    private static func readExclusion(
        _ reader: inout FieldReader, steps: Int, effect: Exclusion.Effect
    ) -> Exclusion? {
        let events = readEvents(&reader)
        if events == nil { reader.faultAt("events", "is required") }
        let filters = readFilters(&reader)
        let range: ClosedRange<Int64> = 1...Int64(Limits.stepsPerFunnel)
        let after = reader.integer("after", in: range)
        let before = reader.integer("before", in: range)
        let named: Exclusion.Effect? = reader.choice("effect")
        if reader.value("after") == nil { reader.faultAt("after", "is required: the number of a step") }
        if reader.value("before") == nil { reader.faultAt("before", "is required: the number of a later step") }
        reader.rejectUnknown()
        guard let events, let after, let before else { return nil }
        // Faulty steps are reported already.
        if steps > 0, before > steps { reader.faultAt("before", "is \(before), and the funnel has \(steps) steps") }
        if after >= before { reader.faultAt("after", "must be less than \"before\"") }
        return Exclusion(
            events: events, filters: filters, after: Int(after), before: Int(before), effect: named ?? effect)
    }

    static func readHeld(_ reader: inout FieldReader, into definition: inout FunnelDefinition) {
        guard let value = reader.value("hold_constant") else { return }
        guard let list = value.asArray, (1...Limits.heldProperties).contains(list.count) else {
            return reader.faultAt("hold_constant", "must be a list of 1 to \(Limits.heldProperties) properties")
        }
        let steps = definition.steps.count
        for (i, entry) in list.enumerated() {
            let field = "\(reader.path)hold_constant[\(i)]"
            let names = (entry.asArray ?? [entry]).compactMap(\.asString)
            if names.isEmpty || names.count != entry.asArray?.count ?? 1 {
                reader.fault(field, "must be a property name or a list with one for each step")
                continue
            }
            for reason in Set(names.compactMap(unitPropertyFault)).sorted() { reader.fault(field, reason) }
            if entry.asString != nil {
                definition.held.append(.everyStep(names[0]))
            } else if names.count == steps || steps == 0 {
                definition.held.append(.byStep(names))
            } else {
                reader.fault(field, "must have one property name for each of the \(steps) steps; it has \(names.count)")
            }
        }
    }

    /// The value of `count_by` in a definition or a query; nil if it is absent or faulty.
    package static func readCountBy(_ reader: inout FieldReader) -> CountBy? {
        let key: ByteString = "count_by"
        guard let text = reader.string(key) else { return nil }
        switch text {
        case "users": return .users
        case "attempts": return .attempts
        case "sessions": return .sessions
        default:
            let prefix = "property:".utf8
            guard text.bytes.starts(with: prefix) else {
                reader.faultAt(key, "must be users, attempts, sessions or property:<name>; \"\(text.string)\" is not")
                return nil
            }
            let name = ByteString(text.bytes[prefix.count...])
            if let reason = unitPropertyFault(name) {
                reader.faultAt(key, reason)
                return nil
            }
            return .property(name)
        }
    }

    /// `session_gap` in a definition or a query; whole ticks are checked with the definition.
    package static func readSessionGap(_ reader: inout FieldReader) -> Microseconds? {
        reader.duration("session_gap", in: 1...Limits.window)
    }

    private static func unitPropertyFault(_ name: ByteString) -> String? {
        guard (1...Limits.propertyKeyBytes).contains(name.count) else {
            return "a property name must have 1 to \(Limits.propertyKeyBytes) bytes"
        }
        // A user property has one value for all events of a user, so it cannot distinguish them.
        return name.userPropertyName == nil ? nil : "\"\(name.string)\" is one value for all events of a user; use it in \"where\""
    }
}

extension FunnelDefinition {
    /// The definition with a query's own values, which are checked like the definition's.
    package func overriding(countBy: CountBy?, sessionGap: Microseconds?) throws(InvalidDocument) -> FunnelDefinition {
        var definition = self
        definition.countBy = countBy ?? self.countBy
        definition.sessionGap = sessionGap ?? self.sessionGap
        let faults = definition.conflicts(path: "")
        if !faults.isEmpty { throw InvalidDocument(faults) }
        return definition
    }

    /// Faults of fields that are each valid but do not combine.
    func conflicts(path: String) -> [FieldFault] {
        var faults: [FieldFault] = []
        func fault(_ field: String, _ reason: String) { faults.append(FieldFault(path + field, reason)) }
        for (i, step) in steps.enumerated() {
            if step.isOptional {
                let field = "steps[\(i)].optional"
                if i == 0 || i == steps.count - 1 { fault(field, "the first and the last step can't be optional") }
                if order == .strict || order == .any {
                    fault(field, "has no meaning with conversion_order \"\(order == .strict ? "strict" : "any")\"")
                }
            }
            if step.window != nil {
                let field = "steps[\(i)].window_duration"
                if i == 0 { fault(field, "is measured from the previous step, and step 1 has none") }
                if order == .any { fault(field, "has no meaning with conversion_order \"any\": no step is the previous one") }
            }
        }
        if order == .any, anchor == .previousStep {
            fault("window_anchor", "must be first_step with conversion_order \"any\": no step is the previous one")
        }
        for (i, exclusion) in exclusions.enumerated() {
            if order == .strict {
                fault("exclude[\(i)]", "has no meaning with conversion_order \"strict\", where any other event breaks the run")
            }
            if order == .any, exclusion.after != 1 || exclusion.before != steps.count {
                fault("exclude[\(i)]", "must be after 1 and before \(steps.count) with conversion_order \"any\"")
            }
        }
        if countBy == .attempts, entry == .first {
            fault("count_by", "\"attempts\" counts all attempts of a user, and entry \"first\" allows one")
        }
        if !sessionGap.isMultiple(of: clock.tick) {
            fault("session_gap", "must be in whole ticks of the clock (\(clock.tick))")
        }
        return faults
    }
}
