/// A set of the buckets that users are hashed to.
package struct BucketSet: Hashable, Sendable {
    private static let wordCount = Limits.buckets / 64
    /// One bit a bucket, low bits first. Copies share their memory.
    private var words: [UInt64]

    package init() { words = Array(repeating: 0, count: Self.wordCount) }

    package init(_ range: Range<Int>) {
        self.init()
        for bucket in range.clamped(to: 0..<Limits.buckets) { insert(bucket) }
    }

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

    /// Maximal ranges of buckets, ascending.
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

    /// Writes a varint count of ranges, then each as two varints: the first bucket, and the one after the last.
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
