/// A property's value. Absent and null are one, so there is no null case.
package enum PropertyValue: Hashable, Sendable {
    case string(ByteString)
    case integer(Int64)
    case double(Double)
    case bool(Bool)
}

extension PropertyValue {
    /// A JSON scalar; nil for null, arrays and objects.
    package init?(scalar value: JSONValue) {
        switch value {
        case .string(let text): self = .string(text)
        case .integer(let number): self = .integer(number)
        case .double(let number):
            guard number.isFinite else { return nil }
            self = .double(number)
        case .bool(let flag): self = .bool(flag)
        default: return nil
        }
    }

    package var json: JSONValue {
        switch self {
        case .string(let text): return .string(text)
        case .integer(let number): return .integer(number)
        case .double(let number): return .double(number)
        case .bool(let flag): return .bool(flag)
        }
    }
}
