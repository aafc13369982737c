/// Users counted by value and depth. Counts of disjoint users add up. With many values a shard reports only some, and bounds
/// for the others (`PROTOCOL.md` section 11).
package struct ValueGroups: Equatable, Sendable {
    /// Element i: users without a value with a depth of at least i + 1.
    package var absent: [UInt64]
    /// The same for each reported value; the values are `canonical`.
    package var counts: [PropertyValue: [UInt64]]
    /// By value of `counts`: max number of users at step 1 on the shards that did not report it. Without an entry, its counts
    /// are complete.
    package private(set) var missing: [PropertyValue: UInt64] = [:]
    package private(set) var untold = Untold()
    /// Lower bound of the number of distinct values.
    private var valuesMin = 0

    /// The values that were not reported.
    package struct Untold: Equatable, Sendable {
        /// Their number; a value that two shards left out counts twice.
        package var values = 0
        /// Max number of users at step 1 of a value that no shard reported.
        package var users: UInt64 = 0
    }

    package init(steps: Int) {
        absent = Array(repeating: 0, count: steps)
        counts = [:]
    }

    /// Notes the values that one shard does not report, after its `counts` are set.
    /// - Parameters:
    ///   - values: the number of these values.
    ///   - users: max number of users at step 1 of one of them.
    package mutating func leaveOut(values: Int, users: UInt64) {
        untold = Untold(values: values, users: users)
        valuesMin = toldValues + values
    }

    /// The range of the number of distinct values: one value that two shards left out cannot be distinguished from two values.
    package var distinct: ClosedRange<Int> {
        let told = toldValues
        return max(valuesMin, told)...(told + untold.values)
    }

    /// The number of reported values, without those that nobody has: a shard can be asked about such a value.
    private var toldValues: Int { counts.values.reduce(0) { $0 + ($1.first == 0 ? 0 : 1) } }

    package mutating func merge(_ other: ValueGroups) {
        addMissing(other)
        absent = zip(absent, other.absent).map(+)
        counts.merge(other.counts) { mine, others in zip(mine, others).map(+) }
        untold.values += other.untold.values
        untold.users += other.untold.users
        valuesMin = max(valuesMin, other.valuesMin)
    }

    private mutating func addMissing(_ other: ValueGroups) {
        if other.untold.users > 0 {
            for value in counts.keys where other.counts[value] == nil { missing[value, default: 0] += other.untold.users }
        }
        if untold.users > 0 {
            for value in other.counts.keys where counts[value] == nil { missing[value, default: 0] += untold.users }
        }
        for (value, users) in other.missing { missing[value, default: 0] += users }
    }

    /// The first `k` values in the order of a breakdown, of those whose counts are complete.
    package func largest(_ k: Int) -> [PropertyValue] {
        counts.compactMap { missing[$0.key] == nil && $0.value[0] > 0 ? ($0.key, $0.value[0]) : nil }.leading(k)
    }
}

extension PropertyValue {
    /// One form for values that are equal as numbers: a double that is a 64-bit integer becomes an integer.
    package var canonical: PropertyValue {
        guard case .double(let value) = self, let whole = Int64(exactly: value) else { return self }
        return .integer(whole)
    }

    /// The bytes that order groups of one size: a string's own, or those of the JSON text of a number or boolean.
    package var textBytes: [UInt8] {
        if case .string(let text) = self { return text.bytes }
        return json.encode()
    }
}

extension Sequence<PropertyValue> {
    /// Ascending by `textBytes`; a string comes after a number or boolean with the same text.
    package func sortedAsText() -> [PropertyValue] { map(ValueText.init).sorted().map(\.value) }
}

extension [(PropertyValue, UInt64)] {
    /// The first `n` in the order of a breakdown: by users, descending, then by the values as text.
    package func leading(_ n: Int) -> [PropertyValue] {
        guard let least = map({ $0.1 }).sorted(by: >).prefix(n).last else { return [] }
        // Only values that can be among the first n are sorted by text.
        let candidates = filter { $0.1 >= least }.map { (users: $0.1, text: ValueText($0.0)) }
        let sorted = candidates.sorted { a, b in a.users != b.users ? a.users > b.users : a.text < b.text }
        return sorted.prefix(n).map(\.text.value)
    }
}

private struct ValueText: Comparable {
    let value: PropertyValue
    let text: [UInt8]
    /// The first eight bytes as a big-endian number: most texts differ there.
    let head: UInt64

    init(_ value: PropertyValue) {
        self.value = value
        text = value.textBytes
        head = (0..<8).reduce(0) { [text] head, i in head << 8 | (i < text.count ? UInt64(text[i]) : 0) }
    }

    static func < (a: ValueText, b: ValueText) -> Bool {
        if a.head != b.head { return a.head < b.head }
        let order = compareBytes(a.text, b.text)
        return order != 0 ? order < 0 : !a.isString && b.isString
    }

    private var isString: Bool {
        if case .string = value { return true }
        return false
    }
}
