import FunnelModel

/// Adds users up by the value of a property. Several threads each fill one of their own; `merge` makes them one.
package struct GroupTally: Sendable {
    private let steps: Int
    private let valuesMax: Int
    private let bytesMax: Int
    private var groups: [PropertyValue: Int32] = [:]
    /// `depths[group * steps + i]`: users of the group with a depth of exactly i + 1.
    private var depths: [UInt64] = []
    /// The same for users without a value.
    private var absent: [UInt64]
    /// Bytes of all values.
    private var bytes = 0

    package init(steps: Int) { self.init(steps: steps, valuesMax: Limits.breakdownValues, bytesMax: Limits.breakdownBytes) }

    package init(steps: Int, valuesMax: Int, bytesMax: Int) {
        self.steps = steps
        self.valuesMax = valuesMax
        self.bytesMax = bytesMax
        absent = Array(repeating: 0, count: steps)
    }

    /// Adds a user.
    /// - Parameters:
    ///   - value: nil where the user has none.
    ///   - depth: at least 1.
    package mutating func add(_ value: PropertyValue?, depth: Int) throws(TooManyValues) {
        if let value { add(code: try code(of: value), depth: depth) } else { add(code: -1, depth: depth) }
    }

    /// Adds a user by the code of the value; below 0 is none.
    package mutating func add(code: Int32, depth: Int) {
        if code < 0 {
            absent[depth - 1] += 1
        } else {
            depths[Int(code) * steps + depth - 1] += 1
        }
    }

    /// The number by which this tally knows a value.
    package mutating func code(of value: PropertyValue) throws(TooManyValues) -> Int32 {
        let value = value.canonical
        if let known = groups[value] { return known }
        bytes += value.wireBytes
        guard groups.count < valuesMax, bytes <= bytesMax else { throw TooManyValues(values: valuesMax, bytes: bytesMax) }
        let new = Int32(groups.count)
        groups[value] = new
        depths.append(contentsOf: repeatElement(0, count: steps))
        return new
    }

    package mutating func merge(_ other: GroupTally) throws(TooManyValues) {
        for i in absent.indices { absent[i] += other.absent[i] }
        for (value, theirs) in other.groups {
            let mine = Int(try code(of: value))
            for i in 0..<steps { depths[mine * steps + i] += other.depths[Int(theirs) * steps + i] }
        }
    }

    package func finish() -> ValueGroups {
        var result = ValueGroups(steps: steps)
        result.absent = DepthCounts.reaching(absent[...])
        for (value, group) in groups {
            result.counts[value] = DepthCounts.reaching(depths[(Int(group) * steps)..<((Int(group) + 1) * steps)])
        }
        return result
    }
}

/// A property has more values, or longer ones, than one shard tells apart. An estimate would not be exact.
package struct TooManyValues: Error, Equatable, Sendable {
    package var values: Int
    package var bytes: Int
}

extension PropertyValue {
    /// Bytes that the value takes in a partial result, at most.
    fileprivate var wireBytes: Int {
        if case .string(let text) = self { return text.count + 4 }
        return 11
    }
}

/// Adds users up by the bucket in which their attempts began; a user may count in several.
package struct TrendTally: Sendable {
    private let steps: Int
    private let buckets: Int
    /// `depths[bucket * steps + i]`: users with a depth of exactly i + 1.
    private var depths: [UInt64]

    package init(buckets: Int, steps: Int) {
        self.buckets = buckets
        self.steps = steps
        depths = Array(repeating: 0, count: buckets * steps)
    }

    /// - Parameter depth: at least 1.
    package mutating func add(bucket: Int, depth: Int, users: Int = 1) { depths[bucket * steps + depth - 1] += UInt64(users) }

    /// The users of a slice who got beyond step 1.
    package mutating func add(deep outcomes: borrowing SliceOutcomes) {
        for i in 0..<outcomes.count { add(bucket: Int(outcomes.group[i]), depth: Int(outcomes.depth[i])) }
    }

    /// Users with an attempt, by bucket, of whom those beyond step 1 have been added already.
    package mutating func add(entered: [Int]) {
        for (bucket, users) in entered.enumerated() {
            var deep = 0
            for i in 1..<max(1, steps) { deep += Int(depths[bucket * steps + i]) }
            add(bucket: bucket, depth: 1, users: users - deep)
        }
    }

    package mutating func merge(_ other: TrendTally) {
        for i in depths.indices { depths[i] += other.depths[i] }
    }

    /// By bucket, users with a depth of at least i + 1.
    package func finish() -> [[UInt64]] {
        (0..<buckets).map { DepthCounts.reaching(depths[($0 * steps)..<(($0 + 1) * steps)]) }
    }
}

enum DepthCounts {
    /// Users who reached each step, from those who got exactly so far.
    static func reaching(_ exactly: ArraySlice<UInt64>) -> [UInt64] {
        var total: UInt64 = 0
        let sums = exactly.reversed().map { users in
            total += users
            return total
        }
        return sums.reversed()
    }
}
