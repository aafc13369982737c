import FunnelModel

extension Breakdown {
    func write(to out: inout ByteWriter) {
        out.string(property)
        touch.write(to: &out)
    }

    static func read(_ reader: inout ByteReader, steps: Int) throws(ByteError) -> Breakdown {
        let property = try readProperty(&reader)
        return Breakdown(property: property, touch: try Touch.read(&reader, steps: steps))
    }

    fileprivate static func readProperty(_ reader: inout ByteReader) throws(ByteError) -> ByteString {
        let property = try reader.string(limit: Limits.propertyKeyBytes, "property")
        guard !property.isEmpty else { throw ByteError(offset: reader.offset, reason: "property is empty") }
        return property
    }
}

extension Breakdown.Touch {
    fileprivate func write(to out: inout ByteWriter) {
        switch self {
        case .first: out.varint(0)
        case .last: out.varint(1)
        case .step(let number): out.varint(UInt64(number) + 1)
        }
    }

    fileprivate static func read(_ reader: inout ByteReader, steps: Int) throws(ByteError) -> Self {
        let touch = try reader.count(limit: steps + 1, "touch")
        return touch == 0 ? .first : (touch == 1 ? .last : .step(touch - 1))
    }
}

extension VariantSplit {
    private static let first: UInt8 = 0
    private static let attempt: UInt8 = 1

    func write(to out: inout ByteWriter) {
        out.string(property)
        switch exposure {
        case .first: out.integer(Self.first)
        case .attempt(let touch):
            out.integer(Self.attempt)
            touch.write(to: &out)
        }
    }

    static func read(_ reader: inout ByteReader, steps: Int) throws(ByteError) -> VariantSplit {
        let property = try Breakdown.readProperty(&reader)
        let rule: UInt8 = try reader.integer("exposure")
        switch rule {
        case first: return VariantSplit(property: property, exposure: .first)
        case attempt: return VariantSplit(property: property, exposure: .attempt(try .read(&reader, steps: steps)))
        default: throw ByteError(offset: reader.offset, reason: "exposure \(rule) is unknown")
        }
    }
}

extension GroupShare {
    private static let leadingKind: UInt8 = 0
    private static let namedKind: UInt8 = 1
    private static let allKind: UInt8 = 2

    func write(to out: inout ByteWriter) {
        switch self {
        case .leading: out.integer(Self.leadingKind)
        case .all: out.integer(Self.allKind)
        case .named(let values):
            out.integer(Self.namedKind)
            out.varint(UInt64(values.count))
            for value in values { value.write(to: &out) }
        }
    }

    static func read(_ reader: inout ByteReader) throws(ByteError) -> GroupShare {
        let kind: UInt8 = try reader.integer("groups")
        switch kind {
        case leadingKind: return .leading
        case allKind: return .all
        case namedKind:
            var values: [PropertyValue] = []
            for _ in 0..<(try reader.count(limit: Limits.namedGroups, "values")) { values.append(try PropertyValue.read(&reader)) }
            guard Set(values).count == values.count else { throw ByteError(offset: reader.offset, reason: "a value is named twice") }
            return .named(values)
        default: throw ByteError(offset: reader.offset, reason: "groups \(kind) are unknown")
        }
    }
}

extension ValueGroups {
    func write(to out: inout ByteWriter) {
        for count in absent { out.varint(count) }
        out.varint(UInt64(count))
        // In order, so that the same users give the same bytes.
        for i in 0..<count {
            values.write(i, to: &out)
            for position in 0..<steps { out.varint(users(at: i, position: position)) }
        }
        out.varint(UInt64(untold.values))
        if untold.values > 0 { out.varint(untold.users) }
    }

    /// Reads the groups.
    /// - Parameter counts: those of the result, to which groups must add up.
    static func read(_ reader: inout ByteReader, _ counts: [UInt64]) throws(ByteError) -> ValueGroups {
        let steps = counts.count
        let absent = try reader.counts(steps: steps)
        var total = absent
        guard zip(total, counts).allSatisfy({ $0 <= $1 }) else { throw doNotAddUp(reader.offset) }
        var values = ValueTable()
        var users: [UInt64] = []
        for i in 0..<(try reader.count(limit: Limits.breakdownValues, "values")) {
            try values.read(&reader)
            try reader.append(steps: steps, to: &users)
            // Compared after each value, so that a total is over its count long before 2^64.
            for step in 0..<steps {
                total[step] += users[i * steps + step]
                guard total[step] <= counts[step] else { throw Self.doNotAddUp(reader.offset) }
            }
        }
        var groups = ValueGroups(absent: absent, values, counts: users)
        guard groups.values.isAscending() else { throw ByteError(offset: reader.offset, reason: "a value is given twice") }
        let left = try reader.count(limit: Limits.breakdownValues, "values left out")
        guard left > 0 else {
            guard total == counts else { throw doNotAddUp(reader.offset) }
            return groups
        }
        groups.leaveOut(values: left, users: try reader.varint("users of a value left out"))
        guard groups.isLeft(zip(counts, total).map(-)) else { throw doNotAddUp(reader.offset) }
        return groups
    }

    /// Whether the values left out can have these numbers of users together, by step.
    private func isLeft(_ users: [UInt64]) -> Bool {
        guard let entered = users.first, users.allSatisfy({ $0 <= entered }) else { return false }
        let (values, most) = (UInt64(untold.values), untold.users)
        // Each value has a user, one has `most`, and none has more.
        guard most > 0, values <= entered, most <= entered - (values - 1) else { return false }
        return most >= (entered + values - 1) / values
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
