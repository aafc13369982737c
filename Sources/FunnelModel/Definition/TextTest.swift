/// A predicate prepared for testing many strings. It gives the same answer as `Predicate.accepts`, without a copy of the
/// string, and with a hash look-up in long lists of values.
package struct TextTest: Sendable {
    private let comparison: Predicate.Comparison
    private let among: StringInterner
    /// The first value; nil if it is no string.
    private let first: ByteString?

    package init(_ predicate: Predicate) {
        comparison = predicate.comparison
        var among = StringInterner()
        for case .string(let text) in predicate.values { _ = among.code(text) }
        self.among = among
        if case .string(let text)? = predicate.values.first { first = text } else { first = nil }
    }

    package func accepts(_ text: Span<UInt8>) -> Bool {
        switch comparison {
        case .exists: return true
        case .notExists: return false
        case .equal, .isIn: return isAmong(text)
        case .notEqual, .notIn: return !isAmong(text)
        case .greater: return order(text).map { $0 > 0 } ?? false
        case .greaterOrEqual: return order(text).map { $0 >= 0 } ?? false
        case .less: return order(text).map { $0 < 0 } ?? false
        case .lessOrEqual: return order(text).map { $0 <= 0 } ?? false
        case .contains, .startsWith:
            guard let part = first?.bytes, part.count <= text.count else { return false }
            let last = comparison == .contains ? text.count - part.count : 0
            for start in 0...last where text.extracting(start..<(start + part.count)).equals(part.span) { return true }
            return false
        }
    }

    private func isAmong(_ text: Span<UInt8>) -> Bool {
        if among.count == 1 { return among.table.equals(0, text) }
        return among.find(text) != nil
    }

    private func order(_ text: Span<UInt8>) -> Int? {
        guard let first else { return nil }
        return text.compare(first.bytes.span)
    }
}

extension StringTable {
    /// For each string 1 if it is accepted, else 0.
    package func flags(_ test: TextTest) -> [UInt8] {
        let heap = heap.span
        return (0..<count).map { test.accepts(heap.extracting(range($0))) ? 1 : 0 }
    }
}
