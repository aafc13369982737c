/// One condition on a property: `{"property", "op", "value"}`. Conditions of a step are ANDed.
package struct Predicate: Equatable, Sendable {
    /// A property of the event, or `user.<name>` of its user.
    package var property: ByteString
    package var comparison: Comparison
    /// One value, or the list of `in` and `not_in`; none for `exists` and `not_exists`.
    package var values: [PropertyValue]

    package enum Comparison: String, CaseIterable, Sendable {
        case equal = "="
        case notEqual = "!="
        case greater = ">"
        case greaterOrEqual = ">="
        case less = "<"
        case lessOrEqual = "<="
        case isIn = "in"
        case notIn = "not_in"
        case contains
        case startsWith = "starts_with"
        case exists
        case notExists = "not_exists"
    }

    package init(property: ByteString, comparison: Comparison, values: [PropertyValue]) {
        self.property = property
        self.comparison = comparison
        self.values = values
    }

    /// The name of the user property without `user.`; nil for a property of the event.
    package var userProperty: ByteString? { property.userPropertyName }

    /// Whether a value meets the condition; nil is absent. Numbers compare as numbers, strings and booleans only with their own
    /// kind. Another kind is unequal and has no order. An absent property satisfies only `!=`, `not_in` and `not_exists`.
    package func accepts(_ value: PropertyValue?) -> Bool {
        guard let value else {
            return comparison == .notEqual || comparison == .notIn || comparison == .notExists
        }
        switch comparison {
        case .exists: return true
        case .notExists: return false
        case .equal, .isIn: return values.contains { value.order(against: $0) == 0 }
        case .notEqual, .notIn: return !values.contains { value.order(against: $0) == 0 }
        case .greater: return ordered(value) { $0 > 0 }
        case .greaterOrEqual: return ordered(value) { $0 >= 0 }
        case .less: return ordered(value) { $0 < 0 }
        case .lessOrEqual: return ordered(value) { $0 <= 0 }
        case .contains, .startsWith:
            guard case .string(let text) = value, case .string(let part)? = values.first else { return false }
            return comparison == .contains ? text.contains(part) : text.bytes.starts(with: part.bytes)
        }
    }

    private func ordered(_ value: PropertyValue, _ test: (Int) -> Bool) -> Bool {
        guard let other = values.first else { return false }
        if case .bool = value { return false }
        return value.order(against: other).map(test) ?? false
    }
}

extension PropertyValue {
    /// The order of two values: negative, 0 or positive; nil for different kinds and NaN. An integer and a double compare
    /// exactly.
    package func order(against other: PropertyValue) -> Int? {
        switch (self, other) {
        case (.string(let a), .string(let b)): return compareBytes(a.bytes[...], b.bytes[...])
        case (.bool(let a), .bool(let b)): return (a ? 1 : 0) - (b ? 1 : 0)
        case (.integer(let a), .integer(let b)): return a < b ? -1 : (a > b ? 1 : 0)
        case (.double(let a), .double(let b)): return a.isNaN || b.isNaN ? nil : (a < b ? -1 : (a > b ? 1 : 0))
        case (.integer(let a), .double(let b)): return b.isNaN ? nil : Self.order(a, b)
        case (.double(let a), .integer(let b)): return a.isNaN ? nil : -Self.order(b, a)
        default: return nil
        }
    }

    private static func order(_ a: Int64, _ b: Double) -> Int {
        if b >= 9_223_372_036_854_775_808 { return -1 }
        if b < -9_223_372_036_854_775_808 { return 1 }
        let floor = Int64(b.rounded(.down))
        if a != floor { return a < floor ? -1 : 1 }
        return b > b.rounded(.down) ? -1 : 0
    }
}

extension ByteString {
    /// The text after `user.`; nil if it does not begin with that.
    package var userPropertyName: ByteString? {
        bytes.starts(with: "user.".utf8) ? ByteString(bytes[5...]) : nil
    }

    fileprivate func contains(_ part: ByteString) -> Bool {
        if part.isEmpty { return true }
        guard part.count <= count else { return false }
        for start in 0...(count - part.count) where bytes[start...].starts(with: part.bytes) { return true }
        return false
    }
}
