import FunnelModel

/// The bytes of a trend's bounds, and of the counts in its buckets.
enum TrendMessage {
    static func write(_ bounds: [Int64], to out: inout ByteWriter) {
        out.varint(UInt64(bounds.count))
        var previous: Int64 = 0
        for (i, bound) in bounds.enumerated() {
            if i == 0 { out.zigzag(bound) } else { out.varint(UInt64(bound &- previous)) }
            previous = bound
        }
    }

    static func readBounds(_ reader: inout ByteReader) throws(ByteError) -> [Int64] {
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

    static func write(_ buckets: [[UInt64]], to out: inout ByteWriter) {
        out.varint(UInt64(buckets.count))
        for count in buckets.joined() { out.varint(count) }
    }

    static func readBuckets(_ reader: inout ByteReader, steps: Int) throws(ByteError) -> [[UInt64]] {
        var buckets: [[UInt64]] = []
        for _ in 0..<(try reader.count(limit: Limits.trendBuckets, "trend buckets")) {
            buckets.append(try reader.counts(steps: steps))
        }
        return buckets
    }
}

/// The bytes of a span of entries: the times of the first and last step-1 event, in microseconds.
enum EntrySpanMessage {
    static func write(_ span: ClosedRange<Int64>?, to out: inout ByteWriter) {
        out.integer(UInt8(span == nil ? 0 : 1))
        if let span {
            out.zigzag(span.lowerBound)
            out.zigzag(span.upperBound)
        }
    }

    static func read(_ reader: inout ByteReader) throws(ByteError) -> ClosedRange<Int64>? {
        let isPresent: UInt8 = try reader.integer("entry span")
        guard isPresent <= 1 else { throw ByteError(offset: reader.offset, reason: "entry span \(isPresent)") }
        if isPresent == 0 { return nil }
        let least = try reader.zigzag("earliest entry")
        let greatest = try reader.zigzag("latest entry")
        guard least <= greatest, Limits.storableTimes.contains(least), Limits.storableTimes.contains(greatest) else {
            throw ByteError(offset: reader.offset, reason: "entry span out of order or range")
        }
        return least...greatest
    }
}
