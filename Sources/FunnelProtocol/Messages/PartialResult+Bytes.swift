import FunnelModel

extension PartialResult {
    package var body: [UInt8] {
        var out = ByteWriter()
        out.varint(UInt64(counts.count))
        out.integer(UInt8((fromFirst.isEmpty ? 0 : 1) | (newestEvent == nil ? 0 : 2)))
        writeBuckets(buckets, &out)
        for count in counts { out.varint(count) }
        for count in open { out.varint(count) }
        if let newestEvent { out.zigzag(newestEvent) }
        for i in fromFirst.indices {
            fromFirst[i].write(to: &out)
            fromPrevious[i].write(to: &out)
        }
        return out.bytes
    }

    package init(body: [UInt8]) throws(ByteError) {
        var reader = ByteReader(body)
        let steps = try reader.count(limit: Limits.stepsPerFunnel, "steps")
        let flags: UInt8 = try reader.integer("flags")
        self.init(steps: steps, times: flags & 1 != 0)
        buckets = try readBuckets(&reader)
        for i in 0..<steps {
            counts[i] = try reader.varint("count")
            guard i == 0 || counts[i] <= counts[i - 1], counts[i] < 1 << 48 else {
                throw ByteError(offset: reader.offset, reason: "count of step \(i + 1) is out of range")
            }
        }
        for i in 0..<steps {
            open[i] = try reader.varint("open")
            guard open[i] < 1 << 48 else { throw ByteError(offset: reader.offset, reason: "open users are out of range") }
        }
        if flags & 2 != 0 { newestEvent = try reader.zigzag("newest event") }
        for i in fromFirst.indices {
            fromFirst[i] = try TimeSummary.read(&reader)
            fromPrevious[i] = try TimeSummary.read(&reader)
        }
        try reader.finish("partial result")
    }
}

extension TimeSummary {
    fileprivate func write(to out: inout ByteWriter) {
        out.varint(count)
        out.integer(sum)
        switch values {
        case .exact(let list):
            out.integer(UInt8(0))
            out.varint(UInt64(list.count))
            var previous: UInt64 = 0
            for value in list.sorted() {
                out.varint(value - previous)
                previous = value
            }
        case .histogram(let buckets):
            out.integer(UInt8(1))
            out.varint(UInt64(buckets.count))
            for (bucket, n) in buckets.sorted(by: { $0.key < $1.key }) {
                out.varint(UInt64(bucket))
                out.varint(n)
            }
        }
    }

    fileprivate static func read(_ reader: inout ByteReader) throws(ByteError) -> TimeSummary {
        let start = reader.offset
        let count = try reader.varint("times")
        let sum: UInt128 = try reader.integer("sum")
        let form: UInt8 = try reader.integer("form")
        var held: UInt64 = 0
        let values: Values
        switch form {
        case 0:
            let n = try reader.count(limit: Limits.exactTimesPerStep, "exact times")
            guard n <= reader.remaining else { throw ByteError(offset: start, reason: "times: cut short") }
            var list: [UInt64] = []
            list.reserveCapacity(n)
            var value: UInt64 = 0
            for _ in 0..<n {
                let (next, overflow) = value.addingReportingOverflow(try reader.varint("time"))
                guard !overflow, next < 1 << 60 else { throw ByteError(offset: start, reason: "time is out of range") }
                value = next
                list.append(value)
            }
            held = UInt64(n)
            values = .exact(list)
        case 1:
            var buckets: [UInt32: UInt64] = [:]
            for _ in 0..<(try reader.count(limit: Int(TimeHistogram.bucketCount), "histogram buckets")) {
                let bucket = try reader.count(limit: Int(TimeHistogram.bucketCount) - 1, "bucket")
                let n = try reader.varint("bucket count")
                guard n < 1 << 48 else { throw ByteError(offset: start, reason: "bucket count is out of range") }
                buckets[UInt32(bucket), default: 0] += n
                held += n
            }
            values = .histogram(buckets)
        default: throw ByteError(offset: start, reason: "form \(form) of times is unknown")
        }
        guard held == count, sum < UInt128(1) << 120 else {
            throw ByteError(offset: start, reason: "\(count) times announced, \(held) given")
        }
        return TimeSummary(count: count, sum: sum, values: values)
    }
}
