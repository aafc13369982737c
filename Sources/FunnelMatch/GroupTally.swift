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
