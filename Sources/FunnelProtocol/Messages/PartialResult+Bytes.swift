import FunnelModel

extension PartialResult {
    package var body: [UInt8] {
        var out = ByteWriter(reserving: 1_024 + fromFirst.reduce(0) { $0 + $1.bytesGuess } + fromPrevious.reduce(0) { $0 + $1.bytesGuess })
        out.varint(UInt64(counts.count))
        out.integer(
            UInt8((fromFirst.isEmpty ? 0 : 1) | (newestEvent == nil ? 0 : 2) | (stillOpen == nil ? 0 : 4) | (heavyUsers == nil ? 0 : 8)))
        writeBuckets(buckets, &out)
        for count in counts { out.varint(count) }
        for count in open { out.varint(count) }
        for count in stillOpen ?? [] { out.varint(count) }
        if let newestEvent { out.zigzag(newestEvent) }
        if let heavyUsers { out.varint(heavyUsers) }
        for times in fromFirst.dropFirst() { times.write(to: &out) }
        for times in fromPrevious.dropFirst(2) { times.write(to: &out) }
        report.write(to: &out, tellsOpen: stillOpen != nil)
        return out.bytes
    }

    package init(body: [UInt8]) throws(ByteError) {
        var reader = ByteReader(body)
        let steps = try reader.count(limit: Limits.stepsPerFunnel, "steps")
        let flags: UInt8 = try reader.integer("flags")
        guard flags <= 15 else { throw ByteError(offset: 0, reason: "flags \(flags)") }
        self.init(steps: steps, times: flags & 1 != 0)
        buckets = try readBuckets(&reader)
        counts = try reader.counts(steps: steps)
        open = try Self.readOpen(&reader, steps: steps)
        if flags & 4 != 0 {
            let stillOpen = try Self.readOpen(&reader, steps: steps)
            guard stillOpen.reduce(0, +) == open.reduce(0, +) else {
                throw ByteError(offset: reader.offset, reason: "the counts of open and of still open users have different sums")
            }
            self.stillOpen = stillOpen
        }
        if flags & 2 != 0 { newestEvent = try reader.zigzag("newest event") }
        if flags & 8 != 0 { heavyUsers = try Self.readHeavy(&reader) }
        for i in fromFirst.indices.dropFirst() { fromFirst[i] = try TimeSummary.read(&reader) }
        for i in fromPrevious.indices.dropFirst(2) { fromPrevious[i] = try TimeSummary.read(&reader) }
        report = try Report?.read(&reader, counts: counts, tellsOpen: stillOpen != nil)
        try reader.finish("partial result")
    }

    static func readHeavy(_ reader: inout ByteReader) throws(ByteError) -> UInt64 {
        let users = try reader.varint("users left out")
        guard users < 1 << 48 else { throw ByteError(offset: reader.offset, reason: "users left out are out of range") }
        return users
    }

    private static func readOpen(_ reader: inout ByteReader, steps: Int) throws(ByteError) -> [UInt64] {
        var open: [UInt64] = []
        for _ in 0..<steps {
            open.append(try reader.varint("open"))
            guard open[open.count - 1] < 1 << 48 else { throw ByteError(offset: reader.offset, reason: "open users are out of range") }
        }
        return open
    }
}

extension TimeSummary {
    /// Estimated bytes: an exact time takes three or four.
    fileprivate var bytesGuess: Int {
        switch values {
        case .exact(let lists): 64 + lists.reduce(0) { $0 + $1.count * 4 }
        case .histogram(let buckets): 64 + buckets.count * 5
        }
    }

    func write(to out: inout ByteWriter) {
        out.varint(count)
        out.integer(sum)
        switch values {
        case .exact(let lists):
            let list = lists.count == 1 ? lists[0] : lists.joined().sorted()
            out.integer(UInt8(0))
            out.varint(UInt64(list.count))
            Self.writeAscending(list, &out)
        case .histogram(let buckets):
            out.integer(UInt8(1))
            out.varint(UInt64(buckets.count))
            for bucket in buckets {
                out.varint(UInt64(bucket.number))
                out.varint(bucket.count)
            }
        }
    }

    private static func writeAscending(_ list: [UInt64], _ out: inout ByteWriter) {
        let span = list.span
        var previous: UInt64 = 0
        out.varints(count: span.count) { i in
            let value = span[i]
            defer { previous = value }
            return value &- previous
        }
    }

    static func read(_ reader: inout ByteReader) throws(ByteError) -> TimeSummary {
        let start = reader.offset
        let count = try reader.varint("times")
        let sum: UInt128 = try reader.integer("sum")
        let form: UInt8 = try reader.integer("form")
        var held: UInt64 = 0
        let values: Values
        switch form {
        case 0:
            let list = try readAscending(&reader, start)
            held = UInt64(list.count)
            values = .exact([list])
        case 1: values = .histogram(try readHistogram(&reader, start, &held))
        default: throw ByteError(offset: start, reason: "form \(form) of times is unknown")
        }
        guard held == count, sum < UInt128(1) << 120 else {
            throw ByteError(offset: start, reason: "\(count) times announced, \(held) given")
        }
        return TimeSummary(count: count, sum: sum, values: values)
    }

    private static let timeMax: UInt64 = 1 << 60

    /// Two loops: a fast one without bounds checks, which runs while the longest varint would fit and stops before anything
    /// invalid, and a careful one for the rest.
    private static func readAscending(_ reader: inout ByteReader, _ start: Int) throws(ByteError) -> [UInt64] {
        let count = try reader.count(limit: Limits.exactTimesPerStep, "exact times")
        guard count <= reader.remaining else { throw ByteError(offset: start, reason: "times: cut short") }
        let bytes = reader.bytes
        return try [UInt64](capacity: count) { list throws(ByteError) in
            var value: UInt64 = 0
            let span = bytes.span
            reader.move(to: unsafe quickTimes(span.bytes, reader.offset, reader.end, count, &value, &list))
            while list.count < count {
                let (next, overflow) = value.addingReportingOverflow(try reader.varint("time"))
                guard !overflow, next < timeMax else { throw ByteError(offset: start, reason: "time is out of range") }
                value = next
                list.append(value)
            }
        }
    }

    /// The fast loop.
    /// - Returns: the offset where it stopped.
    @inline(__always)
    private static func quickTimes(
        _ bytes: RawSpan, _ start: Int, _ end: Int, _ count: Int, _ value: inout UInt64, _ list: inout OutputSpan<UInt64>
    ) -> Int {
        let last = end &- Varint.bytesMax
        var at = start
        while list.count < count, at <= last {
            var next = at
            guard let step = unsafe bytes.uncheckedVarint(&next), step < timeMax, value &+ step < timeMax else { break }
            value &+= step
            list.append(value)
            at = next
        }
        return at
    }

    private static func readHistogram(
        _ reader: inout ByteReader, _ start: Int, _ held: inout UInt64
    ) throws(ByteError) -> [TimeHistogram.Bucket] {
        var buckets: [TimeHistogram.Bucket] = []
        for _ in 0..<(try reader.count(limit: Int(TimeHistogram.bucketCount), "histogram buckets")) {
            let number = UInt32(try reader.count(limit: Int(TimeHistogram.bucketCount) - 1, "bucket"))
            let n = try reader.varint("bucket count")
            guard n < 1 << 48 else { throw ByteError(offset: start, reason: "bucket count is out of range") }
            guard buckets.last.map({ $0.number < number }) ?? true, n > 0 else {
                throw ByteError(offset: start, reason: "buckets do not ascend, or one is empty")
            }
            buckets.append(TimeHistogram.Bucket(number, count: n))
            held += n
        }
        return buckets
    }
}
