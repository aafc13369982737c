/// Users counted by value and depth. Counts of disjoint users add up. With many values a shard reports only some, and bounds
/// for the others (`PROTOCOL.md` section 11).
package struct ValueGroups: Equatable, Sendable {
    /// Element i: users without a value with a depth of at least i + 1.
    package private(set) var absent: [UInt64]
    /// The reported values, ascending as text.
    package private(set) var values: ValueTable
    /// The same as `absent` for each value, one after the other.
    private var counts: [UInt64]
    /// By value: max number of users at step 1 on the shards that did not report it; 0 if its counts are complete. Empty if all
    /// are.
    private var missing: [UInt64] = []
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

    /// - Parameters:
    ///   - absent: see the property; has an element for each step.
    ///   - values: distinct values in any order.
    ///   - counts: the same for each of the values, one after the other.
    package init(absent: [UInt64], _ values: ValueTable, counts: [UInt64]) {
        self.absent = absent
        if values.isAscending() {
            self.values = values
            self.counts = counts
        } else {
            let order = values.sorted()
            self.values = values.gather(order)
            self.counts = order.flatMap { counts[($0 * absent.count)..<(($0 + 1) * absent.count)] }
        }
    }

    /// No groups and no users.
    package init(steps: Int) { self.init(absent: Array(repeating: 0, count: steps), ValueTable(), counts: []) }

    /// The number of reported values.
    package var count: Int { values.count }
    package var steps: Int { absent.count }

    package func value(at index: Int) -> PropertyValue { values[index] }

    /// Element i: users of the value at `index` with a depth of at least i + 1.
    package func counts(at index: Int) -> [UInt64] { Array(counts[(index * steps)..<((index + 1) * steps)]) }

    package func users(at index: Int, position: Int = 0) -> UInt64 { counts[index * steps + position] }

    /// `counts(at:)` of a value; nil if it was not reported.
    package func counts(of value: PropertyValue) -> [UInt64]? { values.index(of: value).map(counts) }

    /// Max number of users at step 1 of the value at `index` on the shards that did not report it.
    package func missing(at index: Int) -> UInt64 { missing.isEmpty ? 0 : missing[index] }

    /// Notes the values that one shard does not report.
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
    private var toldValues: Int { steps == 0 ? 0 : values.indices.count { users(at: $0) > 0 } }

    package mutating func merge(_ other: ValueGroups) {
        let users = zip(absent, other.absent).map(+)
        if count == 0, untold.values == 0 { self = other } else { mergeValues(other) }
        absent = users
    }

    private mutating func mergeValues(_ other: ValueGroups) {
        let (left, right) = (count, other.count)
        var merged = ValueTable()
        var (sums, missing): ([UInt64], [UInt64]) = ([], [])
        merged.reserve(values: max(left, right), bytes: max(values.heap.count, other.values.heap.count))
        sums.reserveCapacity(max(counts.count, other.counts.count))
        var (i, j) = (0, 0)
        while i < left || j < right {
            let order = i == left ? 1 : j == right ? -1 : values.compare(i, with: other.values, j)
            let (isMine, isOthers) = (order <= 0, order >= 0)
            if isMine { merged.append(i, of: values) } else { merged.append(j, of: other.values) }
            for step in 0..<steps {
                sums.append((isMine ? users(at: i, position: step) : 0) + (isOthers ? other.users(at: j, position: step) : 0))
            }
            missing.append((isMine ? self.missing(at: i) : untold.users) + (isOthers ? other.missing(at: j) : other.untold.users))
            if isMine { i += 1 }
            if isOthers { j += 1 }
        }
        (values, counts) = (merged, sums)
        self.missing = missing.contains { $0 > 0 } ? missing : []
        untold.values += other.untold.values
        untold.users += other.untold.users
        valuesMin = max(valuesMin, other.valuesMin)
    }

    /// The indexes of the first `k` values in the order of a breakdown, of those whose counts are complete.
    package func largest(_ k: Int) -> [Int] {
        let complete = values.indices.map { missing(at: $0) == 0 ? users(at: $0) : 0 }
        return Array(complete.leading(k).prefix { complete[$0] > 0 })
    }
}
