/// All faults of one document, found in one pass.
package struct InvalidDocument: Error, Equatable, Sendable {
    package var faults: [FieldFault]

    package init(_ faults: [FieldFault]) { self.faults = faults }
}

/// Reads the members of one JSON object and collects faults, so that an author sees all of them at once.
package struct FieldReader {
    package let path: String
    package private(set) var faults: [FieldFault] = []
    private let members: [JSONValue.Member]
    private var known: Set<ByteString> = []

    /// - Parameter path: prefix of field names in faults, such as `steps[1].`; empty at the top.
    package init(_ value: JSONValue, path: String = "") {
        self.path = path
        self.members = value.asObject ?? []
        if value.asObject == nil { fault(path.isEmpty ? "body" : String(path.dropLast()), "must be an object, not \(value.typeName)") }
        var seen: Set<ByteString> = []
        for member in members where !seen.insert(member.key).inserted { faultAt(member.key, "is given twice") }
    }

    package mutating func fault(_ field: String, _ reason: String) { faults.append(FieldFault(field, reason)) }

    package mutating func faultAt(_ key: ByteString, _ reason: String) { fault(path + key.string, reason) }

    package mutating func merge(_ more: [FieldFault]) { faults += more }

    /// The member, nil where absent or null; marks the key as known.
    package mutating func value(_ key: ByteString) -> JSONValue? {
        known.insert(key)
        guard let value = members.last(where: { $0.key == key })?.value, value != .null else { return nil }
        return value
    }

    package mutating func string(_ key: ByteString) -> ByteString? {
        guard let value = value(key) else { return nil }
        if value.asString == nil { faultAt(key, "must be a string, not \(value.typeName)") }
        return value.asString
    }

    package mutating func bool(_ key: ByteString) -> Bool? {
        guard let value = value(key) else { return nil }
        if value.asBool == nil { faultAt(key, "must be true or false, not \(value.typeName)") }
        return value.asBool
    }

    package mutating func integer(_ key: ByteString, in range: ClosedRange<Int64>) -> Int64? {
        guard let value = value(key) else { return nil }
        guard let number = value.asInteger, range.contains(number) else {
            faultAt(key, "must be an integer from \(range.lowerBound) to \(range.upperBound)")
            return nil
        }
        return number
    }

    package mutating func choice<T: RawRepresentable & CaseIterable>(_ key: ByteString) -> T? where T.RawValue == String {
        guard let text = string(key) else { return nil }
        if let value = T(rawValue: text.string) { return value }
        faultAt(key, "must be one of \(T.allCases.map(\.rawValue).joined(separator: ", ")); \"\(text.string)\" is not")
        return nil
    }

    /// Microseconds of a duration such as `30d`, checked against a range and, where given, to be whole ticks.
    package mutating func duration(_ key: ByteString, in range: ClosedRange<Int64>, tick: Int64 = 1) -> Int64? {
        guard let text = string(key) else { return nil }
        guard let value = DurationText.parse(text) else {
            faultAt(key, "must be <integer><unit> with unit us, ms, s, m, h or d; \"\(text.string)\" is not")
            return nil
        }
        guard range.contains(value), value % tick == 0 else {
            let limits = "\(DurationText.format(range.lowerBound)) to \(DurationText.format(range.upperBound))"
            faultAt(key, "must be \(limits) in whole ticks of the clock (\(DurationText.format(tick)))")
            return nil
        }
        return value
    }

    /// Refuses a key that the rules know but this version does not serve, so that it isn't taken for a typing error.
    package mutating func refuse(_ keys: [ByteString]) {
        for key in keys where value(key) != nil { faultAt(key, "is not supported by this version") }
    }

    /// Every key that nobody asked for is a fault.
    package mutating func rejectUnknown() {
        for member in members where !known.contains(member.key) { faultAt(member.key, "is not a known key") }
    }
}
