import FunnelModel

extension PartialQuery {
    /// What is asked beside the counts.
    package enum Report: Equatable, Sendable {
        case breakdown(Breakdown)
        /// Ascending instants in microseconds, 2 to 1,001: the counts of each entry range between two of them.
        case trend([Int64])
        /// The earliest and the latest step-1 event, and no counts.
        case entrySpan

        var flag: UInt8 {
            switch self {
            case .breakdown: 2
            case .trend: 4
            case .entrySpan: 8
            }
        }

        static let flags: UInt8 = 2 | 4 | 8

        func write(to out: inout ByteWriter) {
            switch self {
            case .breakdown(let breakdown):
                out.string(breakdown.property)
                switch breakdown.touch {
                case .first: out.varint(0)
                case .last: out.varint(1)
                case .step(let number): out.varint(UInt64(number) + 1)
                }
            case .trend(let bounds):
                out.varint(UInt64(bounds.count))
                var previous: Int64 = 0
                for (i, bound) in bounds.enumerated() {
                    if i == 0 { out.zigzag(bound) } else { out.varint(UInt64(bound &- previous)) }
                    previous = bound
                }
            case .entrySpan: break
            }
        }

        static func read(_ flags: UInt8, _ reader: inout ByteReader, steps: Int) throws(ByteError) -> Report? {
            switch flags & Self.flags {
            case 0: return nil
            case 2: return .breakdown(try readBreakdown(&reader, steps: steps))
            case 4: return .trend(try readBounds(&reader))
            case 8: return .entrySpan
            default: throw ByteError(offset: 0, reason: "flags ask for several reports")
            }
        }

        private static func readBreakdown(_ reader: inout ByteReader, steps: Int) throws(ByteError) -> Breakdown {
            let property = try reader.string(limit: Limits.propertyKeyBytes, "property")
            let touch = try reader.count(limit: steps + 1, "touch")
            guard !property.isEmpty else { throw ByteError(offset: reader.offset, reason: "property is empty") }
            return Breakdown(property: property, touch: touch == 0 ? .first : (touch == 1 ? .last : .step(touch - 1)))
        }

        private static func readBounds(_ reader: inout ByteReader) throws(ByteError) -> [Int64] {
            let count = try reader.count(limit: Limits.trendBuckets + 1, "trend bounds")
            guard count >= 2 else { throw ByteError(offset: reader.offset, reason: "\(count) trend bounds") }
            var bounds = [try reader.zigzag("trend bound")]
            while bounds.count < count {
                let step = try reader.varint("trend bound")
                let (next, overflow) = bounds[bounds.count - 1].addingReportingOverflow(Int64(clamping: step))
                guard step > 0, !overflow else { throw ByteError(offset: reader.offset, reason: "trend bounds don't ascend") }
                bounds.append(next)
            }
            return bounds
        }
    }
}

extension PartialResult.Report {
    var flag: UInt8 {
        switch self {
        case .breakdown: 4
        case .trend: 8
        case .entrySpan: 16
        }
    }

    static let flags: UInt8 = 4 | 8 | 16

    func write(to out: inout ByteWriter) {
        switch self {
        case .breakdown(let groups):
            for count in groups.absent { out.varint(count) }
            out.varint(UInt64(groups.counts.count))
            // Sorted, so that the same users give the same bytes.
            for value in groups.counts.keys.sortedAsText() {
                value.write(to: &out)
                for count in groups.counts[value] ?? [] { out.varint(count) }
            }
        case .trend(let buckets):
            out.varint(UInt64(buckets.count))
            for count in buckets.joined() { out.varint(count) }
        case .entrySpan(let span):
            out.integer(UInt8(span == nil ? 0 : 1))
            if let span {
                out.zigzag(span.lowerBound)
                out.zigzag(span.upperBound)
            }
        }
    }

    /// - Parameter counts: of the whole, to which groups must add up.
    static func read(_ flags: UInt8, _ reader: inout ByteReader, counts: [UInt64]) throws(ByteError) -> Self? {
        switch flags & Self.flags {
        case 0: return nil
        case 4: return .breakdown(try readGroups(&reader, counts))
        case 8:
            var buckets: [[UInt64]] = []
            for _ in 0..<(try reader.count(limit: Limits.trendBuckets, "trend buckets")) {
                buckets.append(try readCounts(&reader, steps: counts.count))
            }
            return .trend(buckets)
        case 16:
            let isPresent: UInt8 = try reader.integer("entry span")
            guard isPresent <= 1 else { throw ByteError(offset: reader.offset, reason: "entry span \(isPresent)") }
            if isPresent == 0 { return .entrySpan(nil) }
            let least = try reader.zigzag("earliest entry")
            let greatest = try reader.zigzag("latest entry")
            guard least <= greatest, Limits.storableTimes.contains(least), Limits.storableTimes.contains(greatest) else {
                throw ByteError(offset: reader.offset, reason: "entry span out of order or range")
            }
            return .entrySpan(least...greatest)
        default: throw ByteError(offset: 0, reason: "flags tell of several reports")
        }
    }

    private static func readGroups(_ reader: inout ByteReader, _ counts: [UInt64]) throws(ByteError) -> ValueGroups {
        var groups = ValueGroups(steps: counts.count)
        groups.absent = try readCounts(&reader, steps: counts.count)
        var total = groups.absent
        for _ in 0..<(try reader.count(limit: Limits.breakdownValues, "values")) {
            let value = try PropertyValue.read(&reader)
            let own = try readCounts(&reader, steps: counts.count)
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

    /// Never rising.
    private static func readCounts(_ reader: inout ByteReader, steps: Int) throws(ByteError) -> [UInt64] {
        var counts: [UInt64] = []
        counts.reserveCapacity(steps)
        var before: UInt64 = 1 << 48 - 1
        for _ in 0..<steps {
            let count = try reader.varint("count")
            guard count <= before else { throw ByteError(offset: reader.offset, reason: "count \(count) is out of range") }
            counts.append(count)
            before = count
        }
        return counts
    }
}

extension PropertyValue {
    fileprivate func write(to out: inout ByteWriter) {
        switch self {
        case .string(let text):
            out.integer(EventBatch.Tag.string)
            out.string(text)
        case .integer(let value):
            out.integer(EventBatch.Tag.integer)
            out.zigzag(value)
        case .double(let value):
            out.integer(EventBatch.Tag.double)
            out.integer(value.bitPattern)
        case .bool(let value):
            out.integer(EventBatch.Tag.bool)
            out.integer(UInt8(value ? 1 : 0))
        }
    }

    /// Only canonical values, so that those of several shards can be told equal.
    fileprivate static func read(_ reader: inout ByteReader) throws(ByteError) -> PropertyValue {
        let start = reader.offset
        let tag: UInt8 = try reader.integer("value tag")
        switch tag {
        case EventBatch.Tag.string: return .string(try reader.string(limit: Limits.propertyValueBytes, "value"))
        case EventBatch.Tag.integer: return .integer(try reader.zigzag("value"))
        case EventBatch.Tag.double:
            let value = Double(bitPattern: try reader.integer("value"))
            guard value.isFinite, PropertyValue.double(value).canonical == .double(value) else { break }
            return .double(value)
        case EventBatch.Tag.bool:
            let value: UInt8 = try reader.integer("value")
            if value <= 1 { return .bool(value == 1) }
        default: break
        }
        throw ByteError(offset: start, reason: "not a value of a breakdown")
    }
}
