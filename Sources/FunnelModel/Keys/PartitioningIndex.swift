extension Range where Bound == Int {
    /// The first index for which the condition holds, by binary search; the end if there is none.
    /// - Parameter holds: must hold for all indices after the first one that it holds for.
    @inlinable
    @inline(__always)
    package func partitioningIndex(where holds: (Int) -> Bool) -> Int {
        var (low, high) = (lowerBound, upperBound)
        while low < high {
            let middle = low &+ (high &- low) / 2
            if holds(middle) { high = middle } else { low = middle &+ 1 }
        }
        return low
    }
}
