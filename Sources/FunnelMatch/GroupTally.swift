import FunnelModel

/// Counts units by the value of a property and depth. Each thread fills its own tally; `merge` joins them.
package struct GroupTally: Sendable {
    private let steps: Int
    private let valuesMax: Int
    private let bytesMax: Int
    private var groups: [PropertyValue: Int32] = [:]
    /// `depths[(group + 1) * steps + i]`: users of the group in row i less those in row i + 1. With optional steps this can be
    /// negative, and wraps. Group -1 is the users without a value.
    private var depths: [UInt64]
    /// Wire bytes of all values.
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
    ///   - value: nil if the user has none.
    ///   - depth: at least 1.
    package mutating func add(_ value: PropertyValue?, depth: Int) throws(TooManyValues) {
        if let value { add(code: try code(of: value), depth: depth) } else { add(code: -1, depth: depth) }
    }

    /// Adds a user by the code of the value; negative is none.
    /// - Parameter skipped: positions of optional steps that were not done.
    package mutating func add(code: Int32, depth: Int, skipped: StepSet = StepSet()) {
        DepthCounts.add(&depths, (Int(code) + 1) * steps, depth: depth, skipped: skipped)
    }

    /// Adds the users of a slice.
    /// - Parameter codes: one for each row of the outcomes.
    package mutating func add(codes: [Int32], _ outcomes: borrowing SliceOutcomes) {
        let (codes, reached) = (codes.span, outcomes.depth.span)
        for i in 0..<min(codes.count, reached.count) { add(code: codes[i], depth: Int(reached[i])) }
    }

    /// The code of a value in this tally: 0, 1, 2 … in order of first use.
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

    /// The counts of all rows.
    /// - Parameters:
    ///   - share: which groups are returned; of the others only their number, and the max number of users of one of them.
    ///   - leadingMax: max number of leading groups.
    /// - Throws: if the groups returned take more than `bytesMax` bytes.
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

/// A property has more values on one shard, or more bytes of them, than the limits. There is no estimate instead: answers are
/// exact.
package struct TooManyValues: Error, Equatable, Sendable, CustomStringConvertible {
    package var values: Int
    package var bytes: Int

    package var description: String { "a property has more than \(values) values, or more than \(bytes) bytes of them" }
}
