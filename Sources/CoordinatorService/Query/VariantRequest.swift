import FunnelModel

/// `"variants"` of a query: an experiment.
package enum VariantRequest: Sendable {
    case property(PropertyVariants)
    /// Two funnels over the same users.
    case funnels([NamedFunnel])

    package struct NamedFunnel: Sendable {
        package var name: ByteString
        var subject: QueryRequest.Subject
        /// Prefix of the field names in faults.
        var path: String
    }

    static func read(_ reader: inout FieldReader) -> VariantRequest? {
        guard let value = reader.value("variants") else { return nil }
        var inner = FieldReader(value, path: reader.path + "variants.")
        defer { reader.merge(inner.faults) }
        guard inner.value("funnels") != nil else { return PropertyVariants.read(&inner).map { .property($0) } }
        let funnels = readFunnels(&inner)
        inner.rejectUnknown()
        return funnels.map { .funnels($0) }
    }

    private static func readFunnels(_ reader: inout FieldReader) -> [NamedFunnel]? {
        guard let list = reader.value("funnels")?.asArray, list.count == 2 else {
            reader.faultAt("funnels", "must be a list of two funnels")
            return nil
        }
        var funnels: [NamedFunnel] = []
        for (i, entry) in list.enumerated() {
            var inner = FieldReader(entry, path: "\(reader.path)funnels[\(i)].")
            let name = SegmentRequest.readName(&inner, besides: funnels.map(\.name))
            funnels.append(NamedFunnel(name: name, subject: QueryRequest.readSubject(&inner), path: inner.path))
            inner.rejectUnknown()
            reader.merge(inner.faults)
        }
        return funnels
    }

    /// The checks that need the funnels.
    func check(against definitions: [FunnelDefinition]) throws(InvalidDocument) {
        guard definitions.allSatisfy({ $0.countBy == .users }) else {
            throw InvalidDocument([FieldFault("count_by", "must be users with \"variants\": only users were assigned at random")])
        }
        if case .property(let asked) = self, case .attempt(let touch) = asked.split.exposure {
            try Breakdown(property: asked.split.property, touch: touch).check(against: definitions[0], "variants.touch")
        }
    }
}

/// Users by the value of a property that names the variant they were assigned to.
package struct PropertyVariants: Sendable {
    package var split: VariantSplit
    /// Nil = `"control"` if there is such a value, otherwise the first.
    package var control: PropertyValue?
    /// Planned shares by value as text, any positive weights; nil = equal shares.
    package var expected: [(value: ByteString, share: Double)]?

    /// The names of the rules by which a user counts for a value.
    enum Exposure: String, CaseIterable { case first, attempt }

    package init(_ split: VariantSplit, control: PropertyValue? = nil, expected: [(value: ByteString, share: Double)]? = nil) {
        self.split = split
        self.control = control
        self.expected = expected
    }

    static func read(_ reader: inout FieldReader) -> PropertyVariants? {
        let breakdown = BreakdownRequest.readBreakdown(&reader)
        let hasTouch = reader.value("touch") != nil
        let named: Exposure? = reader.choice("exposure")
        if hasTouch, named == .first {
            reader.faultAt("touch", "needs \"exposure\": \"attempt\": a first exposure belongs to no attempt")
        }
        let exposure: VariantSplit.Exposure
        switch named ?? (hasTouch ? .attempt : .first) {
        case .first: exposure = .first
        case .attempt: exposure = .attempt(hasTouch ? breakdown?.touch ?? .step(1) : .step(1))
        }
        let raw = reader.value("control")
        let control = raw.flatMap { PropertyValue(scalar: $0) }?.canonical
        if raw != nil, control == nil { reader.faultAt("control", "must be a string, a number or a boolean") }
        let expected = readExpected(&reader)
        reader.rejectUnknown()
        guard reader.faults.isEmpty, let breakdown else { return nil }
        return PropertyVariants(
            VariantSplit(property: breakdown.property, exposure: exposure), control: control, expected: expected)
    }

    /// Throws if users have values and none has the control, which is then more likely a typing error than a variant. A control with
    /// a share in `expected` is a variant.
    func checkControl(among values: Set<PropertyValue>) throws(InvalidDocument) {
        guard let control, !values.isEmpty, !values.contains(control) else { return }
        if let expected, expected.contains(where: { $0.value.bytes == control.textBytes }) { return }
        let found = values.sortedAsText().map(Self.shown).joined(separator: ", ")
        let reason = "no user has the value \(Self.shown(control)) of \"\(split.property.string)\"; users have \(found)"
        throw InvalidDocument([FieldFault("variants.control", reason)])
    }

    /// A value in an error: text in quotes, cut to 60 bytes.
    private static func shown(_ value: PropertyValue) -> String {
        let text = String(decoding: value.textBytes.prefix(60), as: UTF8.self)
        if case .string = value { return "\"\(text)\"" }
        return text
    }

    private static func readExpected(_ reader: inout FieldReader) -> [(value: ByteString, share: Double)]? {
        guard let value = reader.value("expected") else { return nil }
        guard let members = value.asObject, (2...Limits.variants).contains(members.count) else {
            reader.faultAt("expected", "must be an object of 2 to \(Limits.variants) shares by value")
            return nil
        }
        return members.enumerated().compactMap { i, member in
            let field = "\(reader.path)expected.\(member.key.string.prefix(60))"
            if members[..<i].contains(where: { $0.key == member.key }) { reader.fault(field, "is given twice") }
            guard let share = member.value.asDouble, share > 0, share.isFinite else {
                reader.fault(field, "must be a number above 0")
                return nil
            }
            return (member.key, share)
        }
    }
}
