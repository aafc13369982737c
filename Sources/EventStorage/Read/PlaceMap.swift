import FunnelModel

/// Users of a view without gaps: ordinals, which begin anew in every bucket, as places 0, 1, 2 … in the same order.
package struct PlaceMap: Sendable {
    /// The place of each bucket's first user; one more for the end.
    private let start: [UInt32]

    init(counts: [UInt32]) {
        var start: [UInt32] = [0]
        start.reserveCapacity(counts.count + 1)
        for count in counts { start.append(start[start.count - 1] &+ count) }
        self.start = start
    }

    package var users: Int { Int(start[start.count - 1]) }

    /// The places of a range of buckets.
    package func places(ofBuckets buckets: Range<Int>) -> Range<Int> {
        Int(start[buckets.lowerBound])..<Int(start[buckets.upperBound])
    }

    /// What takes an ordinal of a bucket to its place, by wrapping addition.
    @inline(__always) func shift(ofBucket bucket: Int) -> UInt64 {
        UInt64(start[bucket]) &- UInt64(UInt32(truncatingIfNeeded: bucket) << Ordinal.lowBits)
    }

    func place(_ ordinal: UInt32) -> Int { Int(truncatingIfNeeded: UInt64(ordinal) &+ shift(ofBucket: Ordinal.bucket(ordinal))) }

    /// The ordinal at a place; for the end, the first ordinal after all.
    func ordinal(_ place: Int) -> UInt64 {
        if place >= users { return 1 << 32 }
        var low = 0
        var high = Limits.buckets
        while low + 1 < high {
            let middle = (low + high) / 2
            if Int(start[middle]) <= place { low = middle } else { high = middle }
        }
        return UInt64(Ordinal.make(low, UInt32(place) - start[low]))
    }
}
