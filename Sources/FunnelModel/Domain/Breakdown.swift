/// A split of a funnel's users by a property of the attempt that speaks for each of them (`Protocol/FUNNEL.md`,
/// section 6).
package struct Breakdown: Equatable, Sendable {
    /// Which event of the chosen attempt gives the value.
    package enum Touch: Equatable, Sendable {
        /// The event of the first step, in step order, that has the property.
        case first
        /// That of the last.
        case last
        /// That of this step, 1-based; no value where the user did not get so far.
        case step(Int)
    }

    package var property: ByteString
    package var touch: Touch

    package init(property: ByteString, touch: Touch) {
        self.property = property
        self.touch = touch
    }
}

extension Breakdown.Touch {
    /// As queries write it: `first`, `last` or `step:2`.
    package var text: String {
        switch self {
        case .first: "first"
        case .last: "last"
        case .step(let number): "step:\(number)"
        }
    }

    /// Nil where the text is none of these, or the step no number from 1 to the most steps a funnel can have.
    package init?(text: ByteString) {
        switch text {
        case "first": self = .first
        case "last": self = .last
        default:
            let digits = text.bytes.dropFirst(5)
            guard text.bytes.starts(with: "step:".utf8), digits.first != UInt8(ascii: "0"),
                digits.allSatisfy({ (48...57).contains($0) }),
                let number = Int(String(decoding: digits, as: UTF8.self)), (1...Limits.stepsPerFunnel).contains(number)
            else { return nil }
            self = .step(number)
        }
    }
}

/// Users by value; those of disjoint users add up.
package struct ValueGroups: Equatable, Sendable {
    /// Users without a value with a depth of at least i + 1.
    package var absent: [UInt64]
    /// The same for the users of each value; the values are `canonical`.
    package var counts: [PropertyValue: [UInt64]]

    package init(steps: Int) {
        absent = Array(repeating: 0, count: steps)
        counts = [:]
    }

    package mutating func merge(_ other: ValueGroups) {
        absent = zip(absent, other.absent).map(+)
        counts.merge(other.counts) { mine, others in zip(mine, others).map(+) }
    }
}

extension PropertyValue {
    /// One form for all values that are equal as numbers: a double that is a whole number of 64 bits becomes an integer.
    package var canonical: PropertyValue {
        guard case .double(let value) = self, let whole = Int64(exactly: value) else { return self }
        return .integer(whole)
    }

    /// What decides between groups of one size: a string's own bytes, of a number or boolean those of its JSON text.
    package var textBytes: [UInt8] {
        if case .string(let text) = self { return text.bytes }
        return json.encoded
    }
}

extension Sequence<PropertyValue> {
    /// Ascending by `textBytes`; a string comes after the number or boolean that reads the same.
    package func sortedAsText() -> [PropertyValue] {
        let keyed = map { (value: $0, text: $0.textBytes) }
        return keyed.sorted { a, b in
            let order = compareBytes(a.text, b.text)
            return order != 0 ? order < 0 : !a.value.isString && b.value.isString
        }.map(\.value)
    }
}

extension PropertyValue {
    fileprivate var isString: Bool {
        if case .string = self { return true }
        return false
    }
}
