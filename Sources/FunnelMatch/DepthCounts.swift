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

    /// Users in each row, from a group's differences.
    static func reaching(_ differences: ArraySlice<UInt64>) -> [UInt64] {
        var total: UInt64 = 0
        let sums = differences.reversed().map { users in
            total &+= users
            return total
        }
        return sums.reversed()
    }
}
