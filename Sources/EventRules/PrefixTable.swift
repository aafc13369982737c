import FunnelModel

/// Prefixes with a number each, sorted by their bytes.
struct PrefixTable: Sendable {
    private let prefixes: [ByteString]
    private let values: [Int]

    /// - Parameter entries: prefixes that differ and are not empty.
    init(_ entries: [(prefix: ByteString, value: Int)] = []) {
        let sorted = entries.sorted { $0.prefix < $1.prefix }
        prefixes = sorted.map(\.prefix)
        values = sorted.map(\.value)
    }

    var isEmpty: Bool { prefixes.isEmpty }

    /// The longest prefix of a name, and its number. Reads each byte of the name at most once, with two binary searches among the
    /// prefixes that fit so far.
    func longest(of name: [UInt8]) -> (length: Int, value: Int)? {
        var fitting = 0..<prefixes.count
        var found: (length: Int, value: Int)?
        var length = 0
        while !fitting.isEmpty {
            // Of prefixes that share their first bytes, the one with nothing more is first.
            if prefixes[fitting.lowerBound].count == length {
                found = (length, values[fitting.lowerBound])
                fitting = (fitting.lowerBound + 1)..<fitting.upperBound
            }
            guard length < name.count else { break }
            let byte = name[length]
            let start = first(in: fitting) { prefixes[$0].bytes[length] >= byte }
            let end = first(in: start..<fitting.upperBound) { prefixes[$0].bytes[length] > byte }
            fitting = start..<end
            length += 1
        }
        return found
    }

    /// The first index that meets a condition, which all later ones meet too.
    private func first(in range: Range<Int>, where isMet: (Int) -> Bool) -> Int {
        var (low, high) = (range.lowerBound, range.upperBound)
        while low < high {
            let middle = low + (high - low) / 2
            if isMet(middle) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
