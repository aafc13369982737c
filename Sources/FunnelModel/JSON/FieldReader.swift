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
    /// Names of members that were read.
    private var known: Set<ByteString> = []
    /// Unknown members whose fault lists the known ones; further ones only have the fault, so that an answer stays short.
    private static let listedMax = 3

    /// A reader of an object's members; another value and names given twice are faults.
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

    /// The value of a member; nil if absent or null. Marks the member as known.
    package mutating func value(_ key: ByteString) -> JSONValue? {
        known.insert(key)
        guard let value = members.last(where: { $0.key == key })?.value, value != .null else { return nil }
        return value
    }

    /// A string, if the member is given; another type is a fault.
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

    /// The case with the member's text as its raw value; another text is a fault.
    package mutating func choice<T: RawRepresentable & CaseIterable>(_ key: ByteString) -> T? where T.RawValue == String {
        guard let text = string(key) else { return nil }
        if let value = T(rawValue: text.string) { return value }
        faultAt(key, "must be one of \(T.allCases.map(\.rawValue).joined(separator: ", ")); \"\(text.string)\" is not")
        return nil
    }

    /// A duration such as `30d`, which must be in a range and a multiple of `tick`.
    package mutating func duration(
        _ key: ByteString, in range: ClosedRange<Microseconds>, tick: Microseconds = 1
    ) -> Microseconds? {
        guard let text = string(key) else { return nil }
        guard let value = Microseconds(parsing: text) else {
            faultAt(key, "must be <integer><unit> with unit us, ms, s, m, h or d; \"\(text.string)\" is not")
            return nil
        }
        guard range.contains(value), value.isMultiple(of: tick) else {
            faultAt(key, "must be \(range.lowerBound) to \(range.upperBound) in whole ticks of the clock (\(tick))")
            return nil
        }
        return value
    }

    /// Adds a fault for each member that was not read, with the known ones, the most similar first.
    /// - Parameter noun: what a member is for the author, such as a parameter.
    package mutating func rejectUnknown(_ noun: String = "member") {
        let unknown = members.map(\.key).filter { !known.contains($0) }
        for (i, key) in unknown.enumerated() {
            let list = i < Self.listedMax ? knownNames(nearest: key) : []
            faultAt(key, "is not a known \(noun)" + (list.isEmpty ? "" : "; known are \(list.joined(separator: ", "))"))
        }
    }

    private func knownNames(nearest key: ByteString) -> [String] {
        let names = known.map(\.string).sorted()
        let nearest = NearestNames.of(key.string, among: names)
        return nearest + names.filter { !nearest.contains($0) }
    }
}
