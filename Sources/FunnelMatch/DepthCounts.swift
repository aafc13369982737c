import FunnelModel

enum DepthCounts {
    /// Adds users to a group's `depths`: element i is the users in row i less those in row i + 1.
    /// - Parameter first: index of the group's first element.
    @inline(__always)
    static func add(_ depths: inout [UInt64], _ first: Int, depth: Int, skipped: StepSet, users: UInt64 = 1) {
        depths[first + depth - 1] &+= users
        for position in skipped {
            // The first step is never skipped.
            let i = first + position
            depths[i] &-= users
            depths[i - 1] &+= users
        }
    }

    /// Appends the users in each row to `counts`, from a group's differences.
    static func append(reaching differences: Span<UInt64>, to counts: inout [UInt64]) {
        let first = counts.count
        counts.append(contentsOf: repeatElement(0, count: differences.count))
        var total: UInt64 = 0
        for i in (0..<differences.count).reversed() {
            total &+= differences[i]
            counts[first + i] = total
        }
    }
}
