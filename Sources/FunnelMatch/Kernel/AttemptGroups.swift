/// Finds the group of an attempt: the number of boundaries at or before its step 1.
struct AttemptGroups: Sendable {
    private let boundaries: [UInt64]
    /// By slot: the number of boundaries at or before `slot << shift`. Few boundaries are left to test from there.
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
