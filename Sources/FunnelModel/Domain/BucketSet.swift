/// Some of the buckets that users are hashed to.
package struct BucketSet: Hashable, Sendable {
    private static let wordCount = Limits.buckets / 64
    /// One bit a bucket, low bits first. Equal sets that are copies of each other share their memory.
    private var words: [UInt64]

    package init() { words = Array(repeating: 0, count: Self.wordCount) }

    package init(_ range: Range<Int>) {
        self.init()
        for bucket in range.clamped(to: 0..<Limits.buckets) { insert(bucket) }
    }

    package static let all = BucketSet(0..<Limits.buckets)

    package var isEmpty: Bool { words.allSatisfy { $0 == 0 } }

    package func contains(_ bucket: Int) -> Bool { words[bucket / 64] >> UInt64(bucket % 64) & 1 == 1 }

    package mutating func insert(_ bucket: Int) { words[bucket / 64] |= 1 << UInt64(bucket % 64) }

    package func isSubset(of other: BucketSet) -> Bool { subtracting(other).isEmpty }

    package func subtracting(_ other: BucketSet) -> BucketSet {
        var out = self
        for i in words.indices { out.words[i] &= ~other.words[i] }
        return out
    }

    package func union(_ other: BucketSet) -> BucketSet {
        if self == other { return self }
        var out = self
        for i in words.indices { out.words[i] |= other.words[i] }
        return out
    }

    /// Ascending; they do not touch.
    package var ranges: [Range<Int>] {
        var out: [Range<Int>] = []
        var bucket = 0
        while bucket < Limits.buckets {
            let start = bucket
            while bucket < Limits.buckets, contains(bucket) { bucket += 1 }
            if bucket > start { out.append(start..<bucket) }
            bucket += 1
        }
        return out
    }

    /// A varint count of ranges, then each as two varints: the first bucket, and the one behind the last.
    package func encode(_ out: inout ByteWriter) {
        let ranges = ranges
        out.varint(UInt64(ranges.count))
        for range in ranges {
            out.varint(UInt64(range.lowerBound))
            out.varint(UInt64(range.upperBound))
        }
    }

    package init(_ reader: inout ByteReader) throws(ByteError) {
        self.init()
        var end = 0
        for _ in 0..<(try reader.count(limit: Limits.buckets, "bucket ranges")) {
            let start = try reader.count(limit: Limits.buckets, "first bucket")
            let before = end
            end = try reader.count(limit: Limits.buckets, "end of buckets")
            guard before <= start, start < end else { throw ByteError(offset: reader.offset, reason: "bucket range \(start) ..< \(end)") }
            for bucket in start..<end { insert(bucket) }
        }
    }
}

/// Numbers of rows, ascending, as runs.
package struct RowNumbers: Equatable, Sendable {
    /// First number of each run, and the number of rows before the run.
    private var starts: [(number: Int, before: Int)] = []
    package private(set) var count = 0
    private var next = 0

    package init() {}

    /// - Parameter rows: ascending.
    package init(_ rows: some Sequence<Int>) {
        for row in rows { append(row) }
    }

    /// - Parameter row: above all others.
    package mutating func append(_ row: Int) {
        if count == 0 || row != next { starts.append((row, count)) }
        next = row + 1
        count += 1
    }

    /// The number of the row at a place.
    package subscript(place: Int) -> Int {
        let run = starts[lowerRun { $0.before <= place }]
        return run.number + place - run.before
    }

    package func contains(_ number: Int) -> Bool {
        guard let first = starts.first, number >= first.number, number < next else { return false }
        let i = lowerRun { $0.number <= number }
        let end = i + 1 < starts.count ? starts[i + 1].before : count
        return number - starts[i].number < end - starts[i].before
    }

    /// The last run for which the condition holds; it holds for the first.
    private func lowerRun(_ holds: ((number: Int, before: Int)) -> Bool) -> Int {
        var (low, high) = (0, starts.count)
        while high - low > 1 {
            let middle = (low + high) / 2
            if holds(starts[middle]) { low = middle } else { high = middle }
        }
        return low
    }

    package static func == (a: RowNumbers, b: RowNumbers) -> Bool {
        a.count == b.count && a.starts.elementsEqual(b.starts) { $0.number == $1.number && $0.before == $1.before }
    }

    /// A varint count of runs, then each as two varints: numbers left out before it, and rows in it.
    package func encode(_ out: inout ByteWriter) {
        out.varint(UInt64(starts.count))
        var end = 0
        for (i, run) in starts.enumerated() {
            let rows = (i + 1 < starts.count ? starts[i + 1].before : count) - run.before
            out.varint(UInt64(run.number - end))
            out.varint(UInt64(rows))
            end = run.number + rows
        }
    }

    package init(_ reader: inout ByteReader) throws(ByteError) {
        for _ in 0..<(try reader.count(limit: min(reader.remaining, Limits.rowsPerBatch), "runs of rows")) {
            let start = next + (try reader.count(limit: Limits.rowsPerBatch - next, "rows left out"))
            let rows = try reader.count(limit: Limits.rowsPerBatch - start, "rows of a run")
            guard rows > 0 else { throw ByteError(offset: reader.offset, reason: "a run of no rows") }
            starts.append((start, count))
            count += rows
            next = start + rows
        }
    }
}
