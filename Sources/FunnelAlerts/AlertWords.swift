import FunnelModel

/// Numbers and times as text for people.
package enum AlertWords {
    /// A share in percent with one digit: `24.1 %`.
    static func percent(_ share: Double) -> String { "\(decimal(share * 100)) %" }

    /// The same with its sign: `-20.3 %`.
    static func change(_ share: Double) -> String { (share > 0 ? "+" : "") + percent(share) }

    /// A number with at most one digit after the point, in groups of thousands: `1,345`, `12.5`.
    static func number(_ value: Double) -> String {
        let text = decimal(value)
        return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
    }

    static func count(_ value: UInt64) -> String { grouped(String(value)) }

    /// Seconds in the unit that suits them: `35.9 min`.
    static func seconds(_ value: Double) -> String {
        switch abs(value) {
        case ..<120: "\(decimal(value)) s"
        case ..<7_200: "\(decimal(value / 60)) min"
        case ..<172_800: "\(decimal(value / 3_600)) h"
        default: "\(decimal(value / 86_400)) d"
        }
    }

    /// A metric's value as people read it.
    package static func shown(_ value: Double?, _ kind: AlertMetric.Kind) -> String {
        guard let value else { return "no value" }
        switch kind {
        case .count: return number(value)
        case .conversion, .dropOff: return percent(value)
        case .medianTime: return seconds(value)
        }
    }

    /// A metric as a noun: `Conversion to step 3`.
    static func subject(_ metric: AlertMetric) -> String {
        let step =
            switch metric.step {
            case .last: "the last step"
            case .number(let number): "step \(number)"
            case .name(let name): cut(name.string, to: AlertLimits.nameBytes)
            }
        switch metric.kind {
        case .count: return "Users who reached \(step)"
        case .conversion: return "Conversion to \(step)"
        case .dropOff: return "Drop-off before \(step)"
        case .medianTime: return "Median time to \(step)"
        }
    }

    static func probability(_ p: Double) -> String {
        if p < 0.0001 { return "p < 0.0001" }
        let digits = String(Int((min(1, p) * 10_000).rounded()))
        if digits.count > 4 { return "p = 1" }
        return "p = 0." + String(repeating: "0", count: 4 - digits.count) + digits
    }

    /// A limit as an error names it: `0.05`, `1e-09`, `100`.
    static func plain(_ value: Double) -> String {
        if let whole = Int64(exactly: value), abs(whole) < 1_000_000 { return String(whole) }
        return "\(value)"
    }

    /// One digit after the point.
    private static func decimal(_ value: Double) -> String {
        guard let tenths = Int64(exactly: (value * 10).rounded()) else { return "\(value)" }
        let digits = tenths.magnitude
        return (tenths < 0 ? "-" : "") + grouped(String(digits / 10)) + ".\(digits % 10)"
    }

    private static func grouped(_ digits: String) -> String {
        var text = ""
        for (i, digit) in digits.enumerated() {
            if i > 0, (digits.count - i).isMultiple(of: 3) { text.append(",") }
            text.append(digit)
        }
        return text
    }

    /// The beginning of a text, of at most as many bytes.
    static func cut(_ text: String, to bytes: Int) -> String {
        guard text.utf8.count > bytes else { return text }
        var kept = String.UnicodeScalarView()
        var used = 3
        for scalar in text.unicodeScalars {
            used += scalar.utf8.count
            if used > bytes { break }
            kept.append(scalar)
        }
        return String(kept) + "…"
    }
}
