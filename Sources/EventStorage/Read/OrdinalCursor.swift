import FunnelModel

/// Turns places that mostly ascend into ordinals: the bucket is looked up only when it changes.
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
