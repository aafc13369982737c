/// Users by value; those of disjoint users add up. Of many values a shard tells only some, and what it left out is bounded
/// (`Protocol/PROTOCOL.md`, section 11).
package struct ValueGroups: Equatable, Sendable {
    /// Users without a value with a depth of at least i + 1.
    package var absent: [UInt64]
    /// The same for the users of each value that was told; the values are `canonical`.
    package var counts: [PropertyValue: [UInt64]]
    /// Users at step 1 that a value of `counts` can have at most on shards that did not tell it; without an entry it is
    /// known whole.
    package private(set) var missing: [PropertyValue: UInt64] = [:]
    package private(set) var untold = Untold()
    /// Distinct values there are at least.
    private var valuesMin = 0

    package struct Untold: Equatable, Sendable {
        /// A value that two shards left out counts twice.
        package var values = 0
        /// Users at step 1 that a value can have at most which no shard told.
        package var users: UInt64 = 0
    }

    package init(steps: Int) {
        absent = Array(repeating: 0, count: steps)
        counts = [:]
    }

    /// Of one shard, whose `counts` are at hand.
    /// - Parameters:
    ///   - values: further values, which it does not tell.
    ///   - users: the most users at step 1 that any of these has.
    package mutating func leaveOut(values: Int, users: UInt64) {
        untold = Untold(values: values, users: users)
        valuesMin = toldValues + values
    }

    /// How many distinct values there are: the same value left out by two shards can't be told from two values.
    package var distinct: ClosedRange<Int> {
        let told = toldValues
        return max(valuesMin, told)...(told + untold.values)
    }

    /// A shard may be asked about a value that nobody has there.
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

    /// The first `k` groups in the order of a breakdown, of those that are known whole.
    package func largest(_ k: Int) -> [PropertyValue] {
        counts.compactMap { missing[$0.key] == nil && $0.value[0] > 0 ? ($0.key, $0.value[0]) : nil }.leading(k)
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
    package func sortedAsText() -> [PropertyValue] { map(ValueText.init).sorted().map(\.value) }
}

extension [(PropertyValue, UInt64)] {
    /// The first `n` in the order of a breakdown: by users, descending, then by the values as text.
    package func leading(_ n: Int) -> [PropertyValue] {
        guard let least = map({ $0.1 }).sorted(by: >).prefix(n).last else { return [] }
        // Only what can be among the first n is put in order by its text.
        let candidates = filter { $0.1 >= least }.map { (users: $0.1, text: ValueText($0.0)) }
        let sorted = candidates.sorted { a, b in a.users != b.users ? a.users > b.users : a.text < b.text }
        return sorted.prefix(n).map(\.text.value)
    }
}

private struct ValueText: Comparable {
    let value: PropertyValue
    let text: [UInt8]
    /// The first eight bytes as a number, the first of them highest: most texts differ there.
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
