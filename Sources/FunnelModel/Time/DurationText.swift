/// A length of time as written in definitions: `<integer><unit>`, unit `us ms s m h d`.
package enum DurationText {
    private static let units: [(name: String, microseconds: Int64)] = [
        ("us", 1), ("ms", 1_000), ("s", 1_000_000), ("m", 60_000_000), ("h", 3_600_000_000), ("d", 86_400_000_000),
    ]

    /// Microseconds, or nil where the text is not of that form or overflows.
    package static func parse(_ text: ByteString) -> Int64? {
        let digits = text.bytes.prefix { $0 >= 48 && $0 <= 57 }
        let unit = String(decoding: text.bytes[digits.count...], as: UTF8.self)
        guard !digits.isEmpty, let value = Int64(String(decoding: digits, as: UTF8.self)),
            let scale = units.first(where: { $0.name == unit })?.microseconds
        else { return nil }
        let (product, overflow) = value.multipliedReportingOverflow(by: scale)
        return overflow ? nil : product
    }

    /// The same length in the largest unit that divides it.
    package static func format(_ microseconds: Int64) -> String {
        let unit = units.last { microseconds % $0.microseconds == 0 && microseconds != 0 } ?? units[2]
        return "\(microseconds / unit.microseconds)\(unit.name)"
    }
}
