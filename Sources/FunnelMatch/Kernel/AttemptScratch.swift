import FunnelModel

/// The attempts of a slice: its step-1 events or, with `entry: first`, those of them that may start one; between the
/// sentinels of `KeyList`.
@safe struct StartList: ~Copyable {
    private(set) var keys: UnsafePointer<UInt64>
    private(set) var count = 0
    /// Place and group of each attempt, `place << 32 | group`; only filled where the rules set boundaries or only the
    /// first attempt counts.
    var segments: UnsafeMutablePointer<UInt64> { unsafe segment.base }

    private var reduced = Scratch<UInt64>()
    private var segment = Scratch<UInt64>()
    /// Index in step 1's list, where attempts were left out.
    private var index = Scratch<UInt32>()
    private var isReduced = false

    init() { unsafe keys = UnsafePointer(reduced.base) }

    /// - Parameter list: must stay in place while the slice is scanned.
    mutating func load(_ list: UnsafePointer<UInt64>, count listCount: Int, rules: KernelRules, groups: AttemptGroups) {
        unsafe keys = list
        count = listCount
        isReduced = rules.entry == .first
        guard isReduced || !rules.boundaries.isEmpty else { return }
        segment.reserve(listCount)
        let timeBits = UInt64(rules.timeBits)
        let tickMask: UInt64 = (1 << timeBits) - 1
        for i in 0..<listCount {
            let key = unsafe list[i]
            let group = groups.count == 1 ? 0 : groups.index(of: key & tickMask)
            unsafe segment.base[i] = (key >> timeBits) << 32 | UInt64(group)
        }
        if isReduced { unsafe keepFirst(list) }
    }

    /// Leaves the first attempt of each user and group.
    private mutating func keepFirst(_ list: UnsafePointer<UInt64>) {
        reduced.reserve(count + 2 * KeyBlock.gap)
        let out = unsafe reduced.base + KeyBlock.gap
        index.reserve(count)
        var kept = 0
        var last: UInt64?
        for i in 0..<count {
            let own = unsafe segment.base[i]
            if own == last { continue }
            last = own
            unsafe out[kept] = list[i]
            unsafe index.base[kept] = UInt32(truncatingIfNeeded: i)
            unsafe segment.base[kept] = own
            kept += 1
        }
        count = kept
        unsafe KeyBlock.enclose(reduced.base, KeyBlock.gap, KeyBlock.gap + kept)
        unsafe keys = UnsafePointer(out)
    }

    /// Index in step 1's list of each attempt; nil where it is the attempt's own.
    var listIndex: UnsafePointer<UInt32>? { unsafe isReduced ? UnsafePointer(index.base) : nil }
}

/// One row per user and group: the chosen attempt and its score, and the greatest score of those still open.
struct RowScratch: ~Copyable {
    var segment = Scratch<UInt64>()
    var best = Scratch<UInt64>()
    var open = Scratch<UInt64>()
    /// Number of the chosen attempt, by which its events are found.
    var attempt = Scratch<UInt32>()
    /// Index of its step 1 in the start list.
    var start = Scratch<UInt32>()
    var count = 0

    mutating func reserve(_ count: Int) {
        segment.reserve(count)
        best.reserve(count)
        open.reserve(count)
        attempt.reserve(count)
        start.reserve(count)
    }
}

/// The running choice over attempts in ascending order.
@safe struct Choice {
    private(set) var row = -1
    /// No segment is all ones, as groups are fewer.
    private var current = UInt64.max
    private var best: UInt64 = 0
    private var bestAttempt: UInt64 = 0
    private var open: UInt64 = 0
    private let segments: UnsafeMutablePointer<UInt64>
    private let bests: UnsafeMutablePointer<UInt64>
    private let opens: UnsafeMutablePointer<UInt64>
    private let attempts: UnsafeMutablePointer<UInt32>
    /// What of a score decides: the depth alone where the earliest attempt wins.
    private let deciding: UInt64
    private let openFrom: UInt64
    private let tickMask: UInt64

    init(rows: borrowing RowScratch, rules: KernelRules) {
        unsafe segments = rows.segment.base
        unsafe bests = rows.best.base
        unsafe opens = rows.open.base
        unsafe attempts = rows.attempt.base
        deciding = rules.entry == .shortest ? .max : ~AttemptScore.tookMask
        openFrom = rules.openFrom ?? .max
        tickMask = (1 << UInt64(rules.timeBits)) - 1
    }

    /// Every attempt writes its user's row as it stands so far, so that no branch waits for the user's last one.
    @inline(__always)
    mutating func consider(_ j: Int, _ key: UInt64, _ segment: UInt64, _ score: UInt64) {
        // Masks instead of conditions, so that no branch has to guess where a user ends or which attempt is better.
        let isNew: UInt64 = segment != current ? 1 : 0
        row &+= Int(truncatingIfNeeded: isNew)
        current = segment
        let goesOn = isNew &- 1
        let before = best & goesOn
        let now = score & deciding
        let isBetter: UInt64 = 0 &- (now > before ? 1 : 0)
        best = before ^ ((before ^ now) & isBetter)
        bestAttempt ^= (bestAttempt ^ UInt64(truncatingIfNeeded: j)) & isBetter
        let isOpen: UInt64 = 0 &- ((key & tickMask) >= openFrom ? 1 : 0)
        open = max(open & goesOn, score & isOpen)
        unsafe segments[row] = segment
        unsafe bests[row] = best
        unsafe opens[row] = open
        unsafe attempts[row] = UInt32(truncatingIfNeeded: bestAttempt)
    }
}
