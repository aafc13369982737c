/// Known names that may have been meant by a name that is not known.
package enum NearestNames {
    /// No name that was meant is as long as this, in characters; longer ones are not compared.
    private static let lengthMax = 128

    /// The names most like `name`, the nearest first, ties in the order of the list.
    /// - Parameters:
    ///   - names: the known names.
    ///   - count: max number of names returned.
    /// - Returns: only names within an edit distance of a third of the length of `name`, and of 2 for a short one, or names that
    ///   begin with `name`. Case does not count, and blanks, `_` and `-` are alike.
    package static func of(_ name: String, among names: some Sequence<String>, count: Int = 3) -> [String] {
        let wanted = folded(name)
        guard !wanted.isEmpty, wanted.count <= lengthMax else { return [] }
        let limit = max(min(2, wanted.count - 1), wanted.count / 3)
        var found: [(distance: Int, name: String)] = []
        for known in names {
            let other = folded(known)
            if abs(other.count - wanted.count) <= limit, case let distance = distance(wanted, other), distance <= limit {
                found.append((distance, known))
            } else if wanted.count > 2, other.starts(with: wanted) {
                found.append((limit + 1, known))
            }
        }
        let sorted = found.enumerated().sorted { ($0.element.distance, $0.offset) < ($1.element.distance, $1.offset) }
        return sorted.prefix(count).map(\.element.name)
    }

    /// "load", "up or load", "up, load or query".
    package static func alternatives(_ names: [String]) -> String {
        guard let last = names.last, names.count > 1 else { return names.first ?? "" }
        return "\(names.dropLast().joined(separator: ", ")) or \(last)"
    }

    private static func folded(_ name: String) -> [Unicode.Scalar] {
        name.lowercased().unicodeScalars.map { $0 == " " || $0 == "-" ? "_" : $0 }
    }

    /// The edit distance by Levenshtein, except that two neighbours in exchange are one edit.
    private static func distance(_ a: [Unicode.Scalar], _ b: [Unicode.Scalar]) -> Int {
        var before: [Int] = []
        var above = Array(0...b.count)
        for i in a.indices {
            var row = [i + 1]
            for j in b.indices {
                var least = min(above[j] + (a[i] == b[j] ? 0 : 1), above[j + 1] + 1, row[j] + 1)
                if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { least = min(least, before[j - 1] + 1) }
                row.append(least)
            }
            (before, above) = (above, row)
        }
        return above[b.count]
    }
}
