import FunnelModel

/// Extends only those attempts of a slice that can speak for their user under `shortest`, or if each user has only one.
///
/// Two attempts whose earliest chains meet in an event go on together from there; the one with the later step 1 gets
/// as far at least (its window ends later), takes less, and is open if the other is. So an event needs to remember the
/// latest attempt only: the pass is driven by the later step's events, of which usually there are fewer. Event b takes
/// the latest kept event a of the step before that may precede it, and is kept if it lies in the window and no event
/// before b has taken a, in which case that one is a's earliest. Attempts are known by their number among those that
/// reached step 2, their root.
struct LatestAttempts: ~Copyable {
    /// Roots of the slice.
    private(set) var roots = 0
    /// By root: index of its step 1 in the start list, and its score.
    private(set) var start = Scratch<UInt32>()
    private(set) var score = Scratch<UInt64>()
    /// Index in step k's list of the event that extended root r: element `(k - 1) * stride + r`.
    private(set) var found = Scratch<UInt32>()
    private(set) var stride = 0

    private var pairs = Scratch<UInt64>()
    private var kept = Kept()
    private var next = Kept()

    /// Kept events of one step in ascending order, from index `KeyBlock.gap` on, between sentinels.
    private struct Kept: ~Copyable {
        var keys = Scratch<UInt64>()
        /// Key of step 1.
        var starts = Scratch<UInt64>()
        var roots = Scratch<UInt32>()
        var count = 0

        mutating func reserve(_ count: Int) {
            keys.reserve(count + 2 * KeyBlock.gap)
            starts.reserve(count + 2 * KeyBlock.gap)
            roots.reserve(count + 2 * KeyBlock.gap)
        }
    }

    /// Returns the greatest depth that some attempt has.
    mutating func extend(_ starts: borrowing StartList, _ lists: [KeyList], _ listOfStep: [Int], _ rules: KernelRules) -> Int
    {
        roots = 0
        guard rules.steps > 1 else { return 1 }
        stride = lists[listOfStep[1]].count
        start.reserve(stride)
        score.reserve(stride)
        found.reserve(stride * (rules.steps - 1))
        let second = lists[listOfStep[1]]
        let cuts = unsafe second.withKeys { keys in
            unsafe LaneCuts(balancing: keys, count: second.count, timeBits: rules.timeBits)
        }
        for step in 1..<rules.steps {
            let list = lists[listOfStep[step]]
            guard list.count <= UInt32.max else { return step }
            pairs.reserve(list.count + 6 * KeyBlock.gap)
            next.reserve(list.count)
            unsafe list.withKeys { later in
                next.count = 0
                guard unsafe rules.admit(later, count: list.count) else { return }
                let earlier = unsafe step == 1 ? starts.keys : UnsafePointer(kept.keys.base + KeyBlock.gap)
                let bases = unsafe step == 1 ? starts.keys : UnsafePointer(kept.starts.base + KeyBlock.gap)
                let level = unsafe PairLevel(
                    keys: earlier, starts: bases, later: later, out: pairs.base, shift: rules.slack &- 1,
                    window: rules.window)
                let events = unsafe LaneRanges(cuts.parts(of: later, count: list.count))
                let others = unsafe cuts.parts(of: earlier, count: step == 1 ? starts.count : kept.count)
                let output = level.run(events, others: others, gap: KeyBlock.gap)
                let count = dropRepeats(output)
                unsafe keep(count, of: later, bases, step: step)
            }
            if next.count == 0 { return step }
            swap(&kept, &next)
        }
        return rules.steps
    }

    /// Moves the pairs together, leaving of those with the same earlier event only the first; returns how many.
    private mutating func dropRepeats(_ ranges: LaneRanges) -> Int {
        let pairs = unsafe self.pairs.base
        var count = 0
        var last = UInt64.max
        for part in 0..<4 {
            var i = ranges.begin[part]
            let end = ranges.end[part]
            while i < end {
                // Never ahead of what is read: the parts have gaps between them.
                let pair = unsafe pairs[i]
                unsafe pairs[count] = pair
                count &+= (pair &>> 32) == last ? 0 : 1
                last = pair &>> 32
                i &+= 1
            }
        }
        return count
    }

    /// Makes the pairs the kept events of the next step, and notes them under their attempts.
    private mutating func keep(
        _ count: Int, of later: UnsafePointer<UInt64>, _ bases: UnsafePointer<UInt64>, step: Int
    ) {
        let deep = AttemptScore.base(depth: step + 1)
        let column = unsafe found.base + (step - 1) * stride
        let keys = unsafe next.keys.base + KeyBlock.gap
        let starts = unsafe next.starts.base + KeyBlock.gap
        let roots = unsafe next.roots.base + KeyBlock.gap
        let before = unsafe kept.roots.base + KeyBlock.gap
        let score = unsafe self.score.base
        let start = unsafe self.start.base
        let isFirst = step == 1
        if isFirst { self.roots = count }
        var i = 0
        while i < count {
            let pair = unsafe pairs.base[i]
            let entry = Int(truncatingIfNeeded: pair &>> 32)
            let event = UInt32(truncatingIfNeeded: pair)
            let key = unsafe later[Int(event)]
            let base = unsafe bases[entry]
            let root = unsafe isFirst ? i : Int(before[entry])
            unsafe keys[i] = key
            unsafe starts[i] = base
            unsafe roots[i] = UInt32(truncatingIfNeeded: root)
            unsafe column[root] = event
            unsafe score[root] = deep &- (key &- base)
            if isFirst { unsafe start[root] = UInt32(truncatingIfNeeded: entry) }
            i &+= 1
        }
        next.count = count
        unsafe KeyBlock.enclose(next.keys.base, KeyBlock.gap, KeyBlock.gap + count)
        unsafe starts[-1] = KeyList.frontSentinel
    }
}

/// One level of `LatestAttempts`: kept events of a step, all events of the next, and for those kept of these a pair
/// `index of the earlier event << 32 | index of the later`.
@safe private struct PairLevel: LaneKernel {
    let keys: UnsafePointer<UInt64>
    let starts: UnsafePointer<UInt64>
    let later: UnsafePointer<UInt64>
    let out: UnsafeMutablePointer<UInt64>
    /// The latest key that may precede b is `b + shift`.
    let shift: UInt64
    let window: UInt64

    /// As in `DepthCounter`: up to eight earlier events, or one later event, without a branch on the data.
    @inline(__always)
    func advance(_ lane: inout Lane) {
        let key = unsafe later[lane.item]
        let skipped = unsafe KeyBlock.countUpTo(key &+ shift, keys + lane.other)
        lane.other &+= skipped
        let isDecided = skipped < 8 ? 1 : 0
        let start = unsafe starts[lane.other &- 1]
        unsafe out[lane.out] = UInt64(truncatingIfNeeded: lane.other &- 1) &<< 32 | UInt64(truncatingIfNeeded: lane.item)
        // Unsigned: no event is before its start here, and another user's start is beyond any window.
        let isKept = key &- start <= window ? 1 : 0
        lane.out &+= isKept & isDecided
        lane.item &+= isDecided
    }
}
