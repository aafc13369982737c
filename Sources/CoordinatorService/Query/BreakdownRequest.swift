import FunnelModel

/// `"breakdown": {"property", "touch", "k"}` of a query.
package struct BreakdownRequest: Equatable, Sendable {
    package var breakdown: Breakdown
    /// Max rows shown, besides the one of users without a value.
    package var rows: Int

    package init(_ breakdown: Breakdown, rows: Int) {
        self.breakdown = breakdown
        self.rows = rows
    }

    static func read(_ reader: inout FieldReader) -> BreakdownRequest? {
        guard let value = reader.value("breakdown") else { return nil }
        var inner = FieldReader(value, path: reader.path + "breakdown.")
        defer { reader.merge(inner.faults) }
        let breakdown = readBreakdown(&inner)
        let rows = inner.integer("k", in: 1...Int64(Limits.breakdownRows)) ?? 10
        inner.rejectUnknown()
        guard let breakdown, inner.faults.isEmpty else { return nil }
        return BreakdownRequest(breakdown, rows: Int(rows))
    }

    /// Reads `property` and `touch`; nil if one of them is at fault.
    static func readBreakdown(_ inner: inout FieldReader) -> Breakdown? {
        let property = inner.string("property") ?? ""
        let touch = inner.string("touch")
        if !inner.faults.isEmpty { return nil }
        guard (1...Limits.propertyKeyBytes).contains(property.count) else {
            inner.faultAt("property", "is required: a property's name of 1 to \(Limits.propertyKeyBytes) bytes")
            return nil
        }
        guard let parsed = touch.map({ Breakdown.Touch(text: $0) }) ?? .first else {
            inner.faultAt("touch", "must be first, last or step:N with N from 1; \"\(touch?.string.prefix(40) ?? "")\" is not")
            return nil
        }
        return Breakdown(property: property, touch: parsed)
    }

    /// Throws if `touch` names a step that the funnel does not have.
    package func check(against definition: FunnelDefinition) throws(InvalidDocument) {
        try breakdown.check(against: definition, "breakdown.touch")
    }
}

extension Breakdown {
    func check(against definition: FunnelDefinition, _ field: String) throws(InvalidDocument) {
        guard case .step(let number) = touch, number > definition.steps.count else { return }
        throw InvalidDocument([FieldFault(field, "is not a step of this funnel, which has \(definition.steps.count)")])
    }
}
