import FunnelModel

/// Numbers the users of a view without gaps: ordinals, which begin anew in every bucket, become places 0, 1, 2 … in the same order.
package struct PlaceMap: Sendable {
    /// The place of each bucket's first user; one more for the end.
    private let start: [UInt32]

    init(counts: [UInt32]) {
        var start: [UInt32] = [0]
        start.reserveCapacity(counts.count + 1)
        for count in counts { start.append(start[start.count - 1] &+ count) }
        self.start = start
    }

    /// Number of places, holes included.
    package var users: Int { Int(start[start.count - 1]) }

    /// The places of a range of buckets.
    package func places(ofBuckets buckets: Range<Int>) -> Range<Int> {
        Int(start[buckets.lowerBound])..<Int(start[buckets.upperBound])
    }

    /// Added to an ordinal of the bucket, with wrap-around, this gives its place.
    @inline(__always) func shift(ofBucket bucket: Int) -> UInt64 {
        UInt64(start[bucket]) &- UInt64(UInt32(truncatingIfNeeded: bucket) << Ordinal.lowBits)
    }

    func place(_ ordinal: UInt32) -> Int { Int(truncatingIfNeeded: UInt64(ordinal) &+ shift(ofBucket: Ordinal.bucket(ordinal))) }

    /// The ordinal at a place; 2^32, above all ordinals, for the end.
    func ordinal(_ place: Int) -> UInt64 {
        if place >= users { return 1 << 32 }
        let bucket = (1..<Limits.buckets).partitioningIndex { Int(start[$0]) > place } - 1
        return UInt64(Ordinal.make(bucket, UInt32(place) - start[bucket]))
    }
}
