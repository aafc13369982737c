import FunnelModel

/// Users of a snapshot without gaps: ordinals, which begin anew in every bucket, as places 0, 1, 2 … in the same order.
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

/// Ordinals of places that mostly ascend: the bucket is looked up only where it changes.
struct OrdinalCursor {
    private let places: PlaceMap
    private var range = 0..<0
    private var first: UInt32 = 0

    init(_ places: PlaceMap) { self.places = places }

    mutating func ordinal(_ place: Int) -> UInt32 {
        if !range.contains(place) {
            first = UInt32(truncatingIfNeeded: places.ordinal(place))
            let bucket = Ordinal.bucket(first)
            range = places.places(ofBuckets: bucket..<(bucket + 1))
            first &-= UInt32(truncatingIfNeeded: place - range.lowerBound)
        }
        return first &+ UInt32(truncatingIfNeeded: place - range.lowerBound)
    }
}

/// How a scan writes times into keys: `place << timeBits | tick`, the place counted from the slice's first, the tick
/// `time / unit - base`. Exact, and the order of times, for every time that is a multiple of the unit.
package struct KeyLayout: Equatable, Sendable {
    /// Microseconds of a tick.
    package var unit: Int64
    /// Units that become tick 0.
    package var base: Int64
    package var timeBits: Int

    package init(unit: Int64, base: Int64, timeBits: Int) {
        self.unit = unit
        self.base = base
        self.timeBits = timeBits
    }

    /// Keys stay below this whatever a damaged file holds, so that a kernel's sentinels lie behind them.
    static let mask: UInt64 = 1 << 62 - 1

    /// Places that fit beside the time and a mark.
    package var placesMax: Int { timeBits >= 61 ? 1 : 1 << (61 - timeBits) }

    /// Microseconds of a key.
    package func time(_ key: UInt64) -> Int64 { (Int64(key & (1 << UInt64(timeBits) - 1)) + base) * unit }

    package func place(_ key: UInt64) -> Int { Int(key >> UInt64(timeBits)) }
}
