/// A length of time in microseconds; written in definitions as `<integer><unit>` with a unit of `us ms s m h d`.
package struct Microseconds: Hashable, Comparable, Sendable, ExpressibleByIntegerLiteral {
    package var count: Int64

    package init(_ count: Int64) { self.count = count }

    package init(integerLiteral count: Int64) { self.count = count }

    package static func < (a: Microseconds, b: Microseconds) -> Bool { a.count < b.count }

    package static func * (a: Microseconds, factor: Int64) -> Microseconds { Microseconds(a.count * factor) }

    package func isMultiple(of tick: Microseconds) -> Bool { count % tick.count == 0 }
}

extension Microseconds: CustomStringConvertible {
    private static let units: [(name: String, microseconds: Int64)] = [
        ("us", 1), ("ms", 1_000), ("s", 1_000_000), ("m", 60_000_000), ("h", 3_600_000_000), ("d", 86_400_000_000),
    ]

    /// Nil if the text has another form or overflows.
    package init?(parsing text: ByteString) {
        let digits = text.bytes.prefix { $0 >= 48 && $0 <= 57 }
        let unit = String(decoding: text.bytes[digits.count...], as: UTF8.self)
        guard !digits.isEmpty, let value = Int64(String(decoding: digits, as: UTF8.self)),
            let scale = Self.units.first(where: { $0.name == unit })?.microseconds
        else { return nil }
        let (product, overflow) = value.multipliedReportingOverflow(by: scale)
        if overflow { return nil }
        self.init(product)
    }

    /// The text in the largest unit that divides it.
    package var description: String {
        let unit = Self.units.last { count % $0.microseconds == 0 && count != 0 } ?? Self.units[2]
        return "\(count / unit.microseconds)\(unit.name)"
    }
}
