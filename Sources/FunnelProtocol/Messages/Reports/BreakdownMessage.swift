import FunnelModel

extension Breakdown {
    func write(to out: inout ByteWriter) {
        out.string(property)
        switch touch {
        case .first: out.varint(0)
        case .last: out.varint(1)
        case .step(let number): out.varint(UInt64(number) + 1)
        }
    }

    static func read(_ reader: inout ByteReader, steps: Int) throws(ByteError) -> Breakdown {
        let property = try reader.string(limit: Limits.propertyKeyBytes, "property")
        let touch = try reader.count(limit: steps + 1, "touch")
        guard !property.isEmpty else { throw ByteError(offset: reader.offset, reason: "property is empty") }
        return Breakdown(property: property, touch: touch == 0 ? .first : (touch == 1 ? .last : .step(touch - 1)))
    }
}

extension ValueGroups {
    func write(to out: inout ByteWriter) {
        for count in absent { out.varint(count) }
        out.varint(UInt64(counts.count))
        // Sorted, so that the same users give the same bytes.
        for value in counts.keys.sortedAsText() {
            value.write(to: &out)
            for count in counts[value] ?? [] { out.varint(count) }
        }
    }

    /// - Parameter counts: of the whole, to which groups must add up.
    static func read(_ reader: inout ByteReader, _ counts: [UInt64]) throws(ByteError) -> ValueGroups {
        var groups = ValueGroups(steps: counts.count)
        groups.absent = try reader.counts(steps: counts.count)
        var total = groups.absent
        for _ in 0..<(try reader.count(limit: Limits.breakdownValues, "values")) {
            let value = try PropertyValue.read(&reader)
            let own = try reader.counts(steps: counts.count)
            guard groups.counts.updateValue(own, forKey: value) == nil else {
                throw ByteError(offset: reader.offset, reason: "a value is given twice")
            }
            // Compared one by one: no total gets near 2^64 before it is over its count.
            for i in total.indices {
                total[i] += own[i]
                guard total[i] <= counts[i] else { throw Self.doNotAddUp(reader.offset) }
            }
        }
        guard total == counts else { throw doNotAddUp(reader.offset) }
        return groups
    }

    private static func doNotAddUp(_ offset: Int) -> ByteError {
        ByteError(offset: offset, reason: "the groups don't add up to the whole")
    }
}

extension UserGroup {
    func write(to out: inout ByteWriter) {
        breakdown.write(to: &out)
        out.integer(UInt8(value == nil ? 0 : 1))
        value?.write(to: &out)
    }

    static func read(_ reader: inout ByteReader, steps: Int) throws(ByteError) -> UserGroup {
        let breakdown = try Breakdown.read(&reader, steps: steps)
        let hasValue: UInt8 = try reader.integer("value of a group")
        guard hasValue <= 1 else { throw ByteError(offset: reader.offset, reason: "value of a group: \(hasValue)") }
        return UserGroup(breakdown, value: hasValue == 1 ? try PropertyValue.read(&reader) : nil)
    }
}
