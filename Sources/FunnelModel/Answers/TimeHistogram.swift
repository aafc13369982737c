/// Log-linear buckets: one for each value below 256, above that 128 for each power of two. So the middle of a bucket is within
/// 0.4 % of each of its values. `PROTOCOL.md` section 11 has the formula.
package enum TimeHistogram {
    /// A bucket that is not empty.
    package struct Bucket: Equatable, Sendable {
        package var number: UInt32
        /// Number of values in it.
        package var count: UInt64

        package init(_ number: UInt32, count: UInt64) {
            self.number = number
            self.count = count
        }
    }

    /// The bucket of a value, below `bucketCount`.
    package static func bucket(of value: UInt64) -> UInt32 {
        if value < 256 { return UInt32(truncatingIfNeeded: value) }
        let exponent = UInt64(truncatingIfNeeded: 63 &- value.leadingZeroBitCount)
        let shift = exponent &- 7
        return UInt32(truncatingIfNeeded: 256 &+ (shift &- 1) &* 128 &+ ((value &>> shift) &- 128))
    }

    package static let bucketCount: UInt32 = 256 + 56 * 128

    /// The smallest value of a bucket.
    package static func least(of bucket: UInt32) -> UInt64 {
        if bucket < 256 { return UInt64(bucket) }
        let index = UInt64(bucket - 256)
        return (128 + index % 128) << (index / 128 + 1)
    }

    /// The middle of a bucket.
    package static func middle(of bucket: UInt32) -> Double {
        if bucket < 256 { return Double(bucket) }
        let width = UInt64(1) << (UInt64(bucket - 256) / 128 + 1)
        return Double(least(of: bucket)) + (Double(width) - 1) / 2
    }

    package static func buckets(of values: [UInt64]) -> [Bucket] {
        var counts = Array(repeating: UInt64(0), count: Int(bucketCount))
        for value in values { counts[Int(bucket(of: value))] += 1 }
        return buckets(counts)
    }

    /// The buckets that are not empty, ascending.
    /// - Parameter counts: by bucket.
    static func buckets(_ counts: [UInt64]) -> [Bucket] {
        counts.indices.compactMap { counts[$0] == 0 ? nil : Bucket(UInt32($0), count: counts[$0]) }
    }

    static func merging(_ a: [Bucket], _ b: [Bucket]) -> [Bucket] {
        var result: [Bucket] = []
        result.reserveCapacity(a.count + b.count)
        var j = 0
        for bucket in a {
            while j < b.count, b[j].number < bucket.number {
                result.append(b[j])
                j += 1
            }
            result.append(bucket)
            if j < b.count, b[j].number == bucket.number {
                result[result.count - 1].count += b[j].count
                j += 1
            }
        }
        result += b[j...]
        return result
    }
}
