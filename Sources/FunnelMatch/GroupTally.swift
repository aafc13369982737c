import FunnelModel

/// Adds users up by the value of a property. Several threads each fill one of their own; `merge` makes them one.
package struct GroupTally: Sendable {
    private let steps: Int
    private let valuesMax: Int
    private let bytesMax: Int
    private var groups: [PropertyValue: Int32] = [:]
    /// `depths[(group + 1) * steps + i]`: users of the group in row i less those in row i + 1, which with optional steps may
    /// be below zero and wraps; group -1 has no value.
    private var depths: [UInt64]
    /// Bytes of all values.
    private var bytes = 0

    package init(steps: Int) {
        let valuesMax = min(Limits.breakdownValues, Limits.breakdownCounts / max(1, steps))
        self.init(steps: steps, valuesMax: valuesMax, bytesMax: Limits.breakdownBytes)
    }

    package init(steps: Int, valuesMax: Int, bytesMax: Int) {
        self.steps = steps
        self.valuesMax = valuesMax
        self.bytesMax = bytesMax
        depths = Array(repeating: 0, count: steps)
    }

    /// Adds a user.
    /// - Parameters:
    ///   - value: nil where the user has none.
    ///   - depth: at least 1.
    package mutating func add(_ value: PropertyValue?, depth: Int) throws(TooManyValues) {
        if let value { add(code: try code(of: value), depth: depth) } else { add(code: -1, depth: depth) }
    }

    /// Adds a user by the code of the value; below 0 is none.
    /// - Parameter skipped: optional steps that were not done, as bits.
    package mutating func add(code: Int32, depth: Int, skipped: UInt64 = 0) {
        DepthCounts.add(&depths, (Int(code) + 1) * steps, depth: depth, skipped: skipped)
    }

    /// Adds the users of a slice.
    /// - Parameter codes: one for each.
    package mutating func add(codes: [Int32], _ outcomes: borrowing SliceOutcomes) {
        let (codes, reached) = (codes.span, outcomes.depth.span)
        for i in 0..<min(codes.count, reached.count) { add(code: codes[i], depth: Int(reached[i])) }
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
        for i in 0..<steps { depths[i] &+= other.depths[i] }
        for (value, theirs) in other.groups {
            let mine = Int(try code(of: value)) + 1
            for i in 0..<steps { depths[mine * steps + i] &+= other.depths[(Int(theirs) + 1) * steps + i] }
        }
    }

    /// - Parameters:
    ///   - share: which groups are told; of the others only how many they are, and the most users that one of them has.
    ///   - leadingMax: groups that are told as the leading ones.
    /// - Throws: where those that are told take too many bytes.
    package func finish(_ share: GroupShare = .all, leadingMax: Int = Limits.leadingGroups) throws(TooManyValues) -> ValueGroups {
        var result = ValueGroups(steps: steps)
        result.absent = reaching(-1)
        var isTold = [Bool](repeating: false, count: groups.count)
        var size = 0
        for value in told(share, leadingMax) {
            let group = groups[value]
            if let group { isTold[Int(group)] = true }
            let counts = group.map(reaching) ?? Array(repeating: 0, count: steps)
            size += value.wireBytes + counts.reduce(0) { $0 + Varint.length($1) }
            guard size <= bytesMax else { throw TooManyValues(values: valuesMax, bytes: bytesMax) }
            result.counts[value] = counts
        }
        let left = isTold.indices.filter { !isTold[$0] }
        if let most = left.map({ entered(Int32($0)) }).max() { result.leaveOut(values: left.count, users: most) }
        return result
    }

    private func told(_ share: GroupShare, _ leadingMax: Int) -> [PropertyValue] {
        switch share {
        case .named(let values): return values
        case .leading where groups.count > leadingMax || bytes > Limits.leadingBytes:
            var bytes = 0
            let leading = groups.map { ($0.key, entered($0.value)) }.leading(leadingMax)
            return Array(
                leading.prefix { value in
                    bytes += value.wireBytes
                    return bytes <= Limits.leadingBytes
                })
        case .leading, .all: return Array(groups.keys)
        }
    }

    /// Users at step 1.
    private func entered(_ group: Int32) -> UInt64 {
        let first = (Int(group) + 1) * steps
        return depths[first..<(first + steps)].reduce(0, &+)
    }

    private func reaching(_ group: Int32) -> [UInt64] {
        let first = (Int(group) + 1) * steps
        return DepthCounts.reaching(depths[first..<(first + steps)])
    }
}

/// A property has more values, or longer ones, than one shard tells apart or can send. An estimate would not be exact.
package struct TooManyValues: Error, Equatable, Sendable, CustomStringConvertible {
    package var values: Int
    package var bytes: Int

    package var description: String { "a property has more than \(values) values, or more than \(bytes) bytes of them" }
}

/// Adds users up by the bucket in which their attempts began; a user may count in several.
package struct TrendTally: Sendable {
    private let steps: Int
    private let buckets: Int
    /// `depths[bucket * steps + i]`: users in row i less those in row i + 1, as in `GroupTally`.
    private var depths: [UInt64]

    package init(buckets: Int, steps: Int) {
        self.buckets = buckets
        self.steps = steps
        depths = Array(repeating: 0, count: buckets * steps)
    }

    /// - Parameters:
    ///   - depth: at least 1.
    ///   - skipped: optional steps that were not done, as bits.
    package mutating func add(bucket: Int, depth: Int, skipped: UInt64 = 0, users: Int = 1) {
        DepthCounts.add(&depths, bucket * steps, depth: depth, skipped: skipped, users: UInt64(users))
    }

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
        for i in depths.indices { depths[i] &+= other.depths[i] }
    }

    /// By bucket, users in row i.
    package func finish() -> [[UInt64]] {
        (0..<buckets).map { DepthCounts.reaching(depths[($0 * steps)..<(($0 + 1) * steps)]) }
    }
}

enum DepthCounts {
    /// Adds users to a group's differences between neighbouring rows.
    @inline(__always)
    static func add(_ depths: inout [UInt64], _ first: Int, depth: Int, skipped: UInt64, users: UInt64 = 1) {
        depths[first + depth - 1] &+= users
        var rest = skipped
        while rest != 0 {
            // Never the first step.
            let i = first + rest.trailingZeroBitCount
            rest &= rest - 1
            depths[i] &-= users
            depths[i - 1] &+= users
        }
    }

    /// Users in each row, from the differences.
    static func reaching(_ differences: ArraySlice<UInt64>) -> [UInt64] {
        var total: UInt64 = 0
        let sums = differences.reversed().map { users in
            total &+= users
            return total
        }
        return sums.reversed()
    }
}
