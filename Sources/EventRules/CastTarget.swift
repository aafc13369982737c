import FunnelModel

/// The type that a rule gives the values of a property.
package enum CastTarget: String, CaseIterable, Sendable {
    case string, number, integer, boolean

    /// The value as this type; nil if it has none.
    package func value(_ value: PropertyValue) -> PropertyValue? {
        switch self {
        case .string: .string(Self.text(value))
        case .number: Self.number(value)
        case .integer: Self.integer(value)
        case .boolean: Self.boolean(value)
        }
    }

    private static func text(_ value: PropertyValue) -> ByteString {
        if case .string(let text) = value { return text }
        return ByteString(value.json.encode())
    }

    private static func number(_ value: PropertyValue) -> PropertyValue? {
        switch value {
        case .integer, .double: value
        case .string(let text): number(of: text)
        case .bool: nil
        }
    }

    /// The number of a text: a JSON number, white space around it ignored.
    private static func number(of text: ByteString) -> PropertyValue? {
        guard text.count <= RuleLimits.numberBytes, let value = try? JSONParser.parse(text.bytes) else { return nil }
        switch value {
        case .integer, .double: return PropertyValue(scalar: value)
        default: return nil
        }
    }

    private static func integer(_ value: PropertyValue) -> PropertyValue? {
        switch number(value) {
        case .integer(let number)?: .integer(number)
        case .double(let number)?: Int64(exactly: number).map { .integer($0) }
        default: nil
        }
    }

    private static func boolean(_ value: PropertyValue) -> PropertyValue? {
        switch value {
        case .bool: return value
        case .integer(let number): return number == 0 || number == 1 ? .bool(number == 1) : nil
        case .double(let number): return number == 0 || number == 1 ? .bool(number == 1) : nil
        case .string(let text):
            // A longer text is neither, and is not copied.
            guard text.count <= 5 else { return nil }
            switch text.lowerCased {
            case "true", "1": return .bool(true)
            case "false", "0": return .bool(false)
            default: return nil
            }
        }
    }
}

/// What becomes of a value that has no form of the type.
package enum CastFailure: String, CaseIterable, Sendable {
    /// The value stays.
    case keep
    /// The property is left out, so that a default may take its place.
    case drop
    /// The event is rejected.
    case reject
}

extension ByteString {
    /// With a to z in place of A to Z; all other bytes stay.
    var lowerCased: ByteString { ByteString(bytes.map { (65...90).contains($0) ? $0 | 32 : $0 }) }
}
