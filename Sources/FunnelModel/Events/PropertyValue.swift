/// A property's value. Null is the same as absent, so there is no case for it.
package enum PropertyValue: Hashable, Sendable {
    case string(ByteString)
    case integer(Int64)
    case double(Double)
    case bool(Bool)
}

extension PropertyValue {
    /// The value of a JSON scalar; nil for null, arrays, objects and numbers that are not finite.
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
