import FunnelModel

/// Counts units by the value of a property and depth. Each thread fills its own tally; `merge` joins them.
package struct GroupTally: Sendable {
    private let steps: Int
    private let valuesMax: Int
    private let bytesMax: Int
    private var values = ValueInterner()
    /// `depths[(code + 1) * steps + i]`: users of the value in row i less those in row i + 1. With optional steps this can be
    /// negative, and wraps. Code -1 is the users without a value.
    private var depths: [UInt64]

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
        let hasRoom = values.count < valuesMax && values.wireBytes + value.wireBytes <= bytesMax
        guard hasRoom || values.find(value) != nil else { throw tooMany }
        let code = values.code(value)
        addDepths()
        return Int32(truncatingIfNeeded: code)
    }

    private mutating func addDepths() {
        if depths.count <= values.count * steps { depths.append(contentsOf: repeatElement(0, count: steps)) }
    }

    private var tooMany: TooManyValues { TooManyValues(values: valuesMax, bytes: bytesMax) }

    package mutating func merge(_ other: GroupTally) throws(TooManyValues) {
        for i in 0..<steps { depths[i] &+= other.depths[i] }
        for code in 0..<other.values.count {
            let (mine, theirs) = ((values.code(code, of: other.values) + 1) * steps, (code + 1) * steps)
            addDepths()
            for i in 0..<steps { depths[mine + i] &+= other.depths[theirs + i] }
        }
        guard values.count <= valuesMax, values.wireBytes <= bytesMax else { throw tooMany }
    }

    /// The counts of all rows.
    /// - Parameters:
    ///   - share: which groups are returned; of the others only their number, and the max number of users of one of them.
    ///   - leadingMax: max number of leading groups.
    /// - Throws: if the groups returned take more than `bytesMax` bytes.
    package func finish(_ share: GroupShare = .all, leadingMax: Int = Limits.leadingGroups) throws(TooManyValues) -> ValueGroups {
        let users = (0..<values.count).map(entered)
        let (told, codes) = told(share, leadingMax, users)
        var counts: [UInt64] = []
        counts.reserveCapacity(codes.count * steps)
        var isTold = [Bool](repeating: false, count: users.count)
        for code in codes {
            if let code {
                isTold[code] = true
                append(reaching: code, to: &counts)
            } else {
                counts.append(contentsOf: repeatElement(0, count: steps))
            }
        }
        let size = told.indices.reduce(0) { $0 + told.wireBytes($1) } + counts.reduce(0) { $0 + Varint.length($1) }
        guard size <= bytesMax else { throw tooMany }
        var absent: [UInt64] = []
        append(reaching: -1, to: &absent)
        var result = ValueGroups(absent: absent, told, counts: counts)
        let left = users.indices.filter { !isTold[$0] }
        if let most = left.map({ users[$0] }).max() { result.leaveOut(values: left.count, users: most) }
        return result
    }

    /// The values to return, ascending as text, and their codes: nil for a named value that no user has.
    /// - Parameter users: users at step 1, by code.
    private func told(_ share: GroupShare, _ leadingMax: Int, _ users: [UInt64]) -> (values: ValueTable, codes: [Int?]) {
        let isCut = share == .leading && (users.count > leadingMax || values.wireBytes > Limits.leadingBytes)
        var table = ValueTable()
        var codes: [Int?] = []
        if case .named(let named) = share {
            table = ValueTable(named)
            codes = named.map(values.find)
        } else {
            // Only values that can be among the leading ones are sorted as text.
            let least = isCut ? users.nthLargest(leadingMax) ?? 0 : 0
            for code in users.indices where users[code] >= least {
                values.append(code, to: &table)
                codes.append(code)
            }
        }
        var order = table.sorted()
        if isCut {
            var bytes = 0
            let leading = order.map { codes[$0].map { users[$0] } ?? 0 }.leading(leadingMax).prefix { place in
                bytes += table.wireBytes(order[place])
                return bytes <= Limits.leadingBytes
            }
            order = leading.sorted().map { order[$0] }
        }
        return (table.gather(order), order.map { codes[$0] })
    }

    /// Appends the counts of all rows to `counts`.
    private func append(reaching code: Int, to counts: inout [UInt64]) {
        DepthCounts.append(reaching: depths.span.extracting(((code + 1) * steps)..<((code + 2) * steps)), to: &counts)
    }

    /// Users at step 1.
    private func entered(_ code: Int) -> UInt64 {
        var users: UInt64 = 0
        for i in 0..<steps { users &+= depths[(code + 1) * steps + i] }
        return users
    }
}

/// A property has more values on one shard, or more bytes of them, than the limits. There is no estimate instead: answers are
/// exact.
package struct TooManyValues: Error, Equatable, Sendable, CustomStringConvertible {
    package var values: Int
    package var bytes: Int

    package var description: String { "a property has more than \(values) values, or more than \(bytes) bytes of them" }
}
