import FunnelModel

enum DepthCounts {
    /// Adds users to a group's differences between neighbouring rows.
    @inline(__always)
    static func add(_ depths: inout [UInt64], _ first: Int, depth: Int, skipped: UInt64, users: UInt64 = 1) {
        depths[first + depth - 1] &+= users
        var rest = skipped
        while rest != 0 {
            // Never the first step.
            let i = first + rest.trailingZeroBitCount
            rest &= rest - 1
            depths[i] &-= users
            depths[i - 1] &+= users
        }
    }

    /// Users in each row, from the differences.
    static func reaching(_ differences: ArraySlice<UInt64>) -> [UInt64] {
        var total: UInt64 = 0
        let sums = differences.reversed().map { users in
            total &+= users
            return total
        }
        return sums.reversed()
    }
}
