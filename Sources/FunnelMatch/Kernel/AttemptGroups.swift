/// Finds the group of an attempt: how many boundaries lie at or before its step 1.
struct AttemptGroups: Sendable {
    private let boundaries: [UInt64]
    /// Boundaries at or before `slot << shift`, from where there is seldom another to pass.
    private var passed: [UInt32] = []
    private let shift: UInt64

    var count: Int { boundaries.count + 1 }

    init(_ boundaries: [UInt64]) {
        self.boundaries = boundaries
        let last = boundaries.last ?? 0
        var shift: UInt64 = 0
        while last >> shift > UInt64(boundaries.count) * 8 { shift += 1 }
        self.shift = shift
        var group = 0
        for slot in 0...(last >> shift) {
            while group < boundaries.count, boundaries[group] <= slot << shift { group += 1 }
            passed.append(UInt32(truncatingIfNeeded: group))
        }
    }

    func index(of tick: UInt64) -> UInt32 {
        let slot = min(tick >> shift, UInt64(passed.count - 1))
        var group = Int(passed[Int(slot)])
        while group < boundaries.count, boundaries[group] <= tick { group += 1 }
        return UInt32(truncatingIfNeeded: group)
    }
}
