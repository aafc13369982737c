import FunnelModel

/// Decides the type of a table's cell: text, number or boolean (`FILES.md` section 4).
package enum CellReader {
    package enum Rule: Sendable, Equatable {
        /// A number only if it prints back to the same characters.
        case exact
        /// Every JSON number is a number.
        case number
        case text
    }

    package enum Kind: Sendable, Equatable { case text, number, bool }

    /// The type of the cell. As JSON, text needs quotes and escapes; numbers and booleans are the cell's own bytes.
    package static func kind(_ cell: Span<UInt8>, _ rule: Rule) -> Kind {
        guard rule != .text, cell.count > 0 else { return .text }
        switch cell[0] {
        case UInt8(ascii: "t"): return equals(cell, "true") ? .bool : .text
        case UInt8(ascii: "f"): return equals(cell, "false") ? .bool : .text
        case UInt8(ascii: "-"), 48...57: return isNumber(cell, rule) ? .number : .text
        default: return .text
        }
    }

    private static func equals(_ cell: Span<UInt8>, _ word: StaticString) -> Bool {
        guard cell.count == word.utf8CodeUnitCount else { return false }
        for i in 0..<cell.count where unsafe cell[i] != word.utf8Start[i] { return false }
        return true
    }

    private static func isNumber(_ cell: Span<UInt8>, _ rule: Rule) -> Bool {
        var at = cell[0] == UInt8(ascii: "-") ? 1 : 0
        let first = at
        while at < cell.count, cell[at] &- 48 <= 9 { at &+= 1 }
        let whole = at &- first
        guard whole > 0, whole == 1 || cell[first] != 48 else { return false }
        if at == cell.count {
            // -0 prints as 0, without a sign.
            if rule == .number { return whole <= 300 || (Double(text(cell))?.isFinite ?? false) }
            if first == 1, cell[1] == 48 { return false }
            return whole <= 18 || Int64(text(cell)) != nil
        }
        var fraction = 0
        if cell[at] == UInt8(ascii: ".") {
            at &+= 1
            let start = at
            while at < cell.count, cell[at] &- 48 <= 9 { at &+= 1 }
            fraction = at &- start
            guard fraction > 0 else { return false }
        }
        guard rule == .number || at == cell.count else { return false }
        if rule == .exact {
            guard cell[at &- 1] != 48 else { return false }
            // A double keeps any 15 digits; for more, printing it shows whether they are kept.
            return whole &+ fraction <= 15 || prints(cell)
        }
        if at < cell.count, cell[at] | 32 == UInt8(ascii: "e") {
            at &+= 1
            if at < cell.count, cell[at] == UInt8(ascii: "+") || cell[at] == UInt8(ascii: "-") { at &+= 1 }
            let start = at
            while at < cell.count, cell[at] &- 48 <= 9 { at &+= 1 }
            guard at > start else { return false }
        }
        return at == cell.count && (Double(text(cell))?.isFinite ?? false)
    }

    /// Whether the nearest double prints with the same digits.
    private static func prints(_ cell: Span<UInt8>) -> Bool {
        let text = text(cell)
        guard let value = Double(text), value.isFinite else { return false }
        func digits(_ text: String) -> String {
            let mantissa = text.prefix { $0 != "e" }.filter { $0 != "." && $0 != "-" }
            return String(mantissa.drop { $0 == "0" }.reversed().drop { $0 == "0" }.reversed())
        }
        return digits("\(value)") == digits(text)
    }

    private static func text(_ cell: Span<UInt8>) -> String {
        unsafe cell.withUnsafeBufferPointer { unsafe String(decoding: $0, as: UTF8.self) }
    }
}
