import FunnelModel

extension UserGroup {
    /// `"group": {"property", "touch", "value"}` of a request.
    static func read(_ reader: inout FieldReader) -> UserGroup? {
        guard let asked = reader.value("group") else { return nil }
        var inner = FieldReader(asked, path: reader.path + "group.")
        defer { reader.merge(inner.faults) }
        let breakdown = BreakdownRequest.readBreakdown(&inner)
        var value: PropertyValue?
        switch inner.value("value") {
        case nil:
            // Null means the row of users without a value. It must be written out.
            let isGiven = asked.asObject?.contains { $0.key == "value" } ?? true
            if !isGiven { inner.faultAt("value", "is required: a value of the breakdown, or null") }
        case .string(let text)?: value = .string(text)
        case .integer(let number)?: value = .integer(number)
        case .double(let number)?: value = .double(number)
        case .bool(let flag)?: value = .bool(flag)
        case .some(let other): inner.faultAt("value", "must be a string, number, boolean or null, not \(other.typeName)")
        }
        if case .string(let text)? = value, text.count > Limits.propertyValueBytes {
            inner.faultAt("value", "is longer than the \(Limits.propertyValueBytes) bytes that a value can have")
        }
        inner.rejectUnknown()
        guard let breakdown, inner.faults.isEmpty else { return nil }
        return UserGroup(breakdown, value: value)
    }
}
