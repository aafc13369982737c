import FunnelModel

/// The attempts of a slice: its step-1 events or, with `entry: first`, the first of each user and group. Enclosed in the
/// sentinels of `KeyList`.
@safe struct StartList: ~Copyable {
    private(set) var keys: UnsafePointer<UInt64>
    private(set) var count = 0
    /// Place and group of each attempt, `place << 32 | group`; only filled if the rules set boundaries or only the first
    /// attempt counts.
    var userGroups: UnsafeMutablePointer<UInt64> { unsafe userGroup.base }

    private var reduced = Scratch<UInt64>()
    private var userGroup = Scratch<UInt64>()
    /// Index in step 1's list of each attempt, if attempts were left out.
    private var index = Scratch<UInt32>()
    private var isReduced = false

    init() { unsafe keys = UnsafePointer(reduced.base) }

    /// Loads the attempts of a slice.
    /// - Parameter list: must stay valid while the slice is scanned.
    mutating func load(_ list: UnsafePointer<UInt64>, count listCount: Int, rules: KernelRules, groups: AttemptGroups) {
        unsafe keys = list
        count = listCount
        isReduced = rules.entry == .first
        guard isReduced || !rules.boundaries.isEmpty else { return }
        userGroup.reserve(listCount)
        let timeBits = UInt64(rules.timeBits)
        let tickMask: UInt64 = (1 << timeBits) - 1
        for i in 0..<listCount {
            let key = unsafe list[i]
            let group = groups.count == 1 ? 0 : groups.index(of: key & tickMask)
            unsafe userGroup.base[i] = (key >> timeBits) << 32 | UInt64(group)
        }
        if isReduced { unsafe keepFirst(list) }
    }

    /// Keeps the first attempt of each user and group.
    private mutating func keepFirst(_ list: UnsafePointer<UInt64>) {
        reduced.reserve(count + 2 * KeyBlock.gap)
        let out = unsafe reduced.base + KeyBlock.gap
        index.reserve(count)
        var kept = 0
        var last: UInt64?
        for i in 0..<count {
            let own = unsafe userGroup.base[i]
            if own == last { continue }
            last = own
            unsafe out[kept] = list[i]
            unsafe index.base[kept] = UInt32(truncatingIfNeeded: i)
            unsafe userGroup.base[kept] = own
            kept += 1
        }
        count = kept
        unsafe KeyBlock.enclose(reduced.base, KeyBlock.gap, KeyBlock.gap + kept)
        unsafe keys = UnsafePointer(out)
    }

    /// Index in step 1's list of each attempt; nil if that is the attempt's own index.
    var listIndex: UnsafePointer<UInt32>? { unsafe isReduced ? UnsafePointer(index.base) : nil }
}
