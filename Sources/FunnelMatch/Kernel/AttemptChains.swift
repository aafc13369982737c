import FunnelModel

/// The score of an attempt: its depth from bit `tookBits` up, and below it `tookMask` minus the ticks that it took. Of two
/// attempts, the one with the larger score is deeper or, at the same depth, took less time.
enum AttemptScore {
    static let tookBits: UInt64 = 56
    static let tookMask: UInt64 = 1 << 56 - 1

    /// The score of an attempt that took no time.
    static func base(depth: Int) -> UInt64 { UInt64(truncatingIfNeeded: depth) << tookBits | tookMask }
}

/// Extends the attempts of a slice by their earliest events, level by level. A later attempt has later events at every step, or
/// the same ones. So each level is one pass over two ascending lists.
///
/// There are two ways. Each attempt can look for its next event. Or, with `shortest`, and with `first`, where a user has one
/// attempt only, each event looks for the latest attempt that can take it. Two attempts whose chains meet in an event have the
/// same events from there on. The one with the later step 1 gets at least as far (its window ends later), takes less time, and
/// is open if the other one is. So the other one need not be followed. Later steps usually have fewer events, which makes the
/// second way faster. An event is an attempt's earliest if no event before it has taken the same attempt.
///
/// Attempts that reach step 2 are numbered; this number is called a root.
struct AttemptChains: ~Copyable {
    /// Roots of the slice.
    private(set) var roots = 0
    /// By root: index of its step 1 in the start list.
    private(set) var start = Scratch<UInt32>()
    /// By root: its score.
    private(set) var score = Scratch<UInt64>()
    /// Element `(k - 1) * stride + r`: index in step k's list of the event that extended root r.
    private(set) var found = Scratch<UInt32>()
    private(set) var stride = 0

    private var pairs = Scratch<UInt64>()
    private var kept = Kept()
    private var next = Kept()

    /// Kept events of one step in ascending order, from index `KeyBlock.gap` on, between sentinels.
    private struct Kept: ~Copyable {
        var keys = Scratch<UInt64>()
        /// The key of step 1 of each event's attempt.
        var starts = Scratch<UInt64>()
        var roots = Scratch<UInt32>()
        var count = 0

        mutating func reserve(_ count: Int) {
            keys.reserve(count + 2 * KeyBlock.gap)
            starts.reserve(count + 2 * KeyBlock.gap)
            roots.reserve(count + 2 * KeyBlock.gap)
        }

        var entries: Entries {
            unsafe Entries(keys: keys.base + KeyBlock.gap, starts: starts.base + KeyBlock.gap, count: count)
        }
    }

    /// Extends all attempts; returns the max depth of an attempt.
    ///
    /// - Parameter onlyLatest: whether only the latest of the attempts that meet in an event is followed.
    mutating func extend(
        _ attempts: borrowing StartList, _ lists: [KeyList], _ listOfStep: [Int], _ rules: KernelRules, onlyLatest: Bool
    ) -> Int {
        roots = 0
        guard rules.steps > 1 else { return 1 }
        let second = lists[listOfStep[1]]
        // One root for each item of the first level's pass.
        stride = onlyLatest ? second.count : attempts.count
        start.reserve(stride)
        score.reserve(stride)
        found.reserve(stride * (rules.steps - 1))
        let cuts = unsafe second.withKeys { keys in
            unsafe onlyLatest
                ? LaneCuts(balancing: keys, count: second.count, timeBits: rules.timeBits)
                : LaneCuts(balancing: attempts.keys, count: attempts.count, timeBits: rules.timeBits)
        }
        for step in 1..<rules.steps {
            let list = lists[listOfStep[step]]
            let attemptEntries = unsafe Entries(keys: attempts.keys, starts: attempts.keys, count: attempts.count)
            let entries = step == 1 ? attemptEntries : kept.entries
            next.count = 0
            unsafe list.withKeys { later in
                guard list.count <= UInt32.max, unsafe rules.admit(later, count: list.count) else { return }
                let level = unsafe Level(entries: entries, later: later, laterCount: list.count, cuts: cuts, rules: rules)
                let count = onlyLatest ? level.takeLatest(into: &pairs) : level.takeEach(into: &pairs)
                unsafe keep(count, of: later, entries.starts, step: step)
            }
            if next.count == 0 { return step }
            swap(&kept, &next)
        }
        return rules.steps
    }

    /// Turns the pairs into the kept events of the next step, and records them under their roots.
    private mutating func keep(
        _ count: Int, of later: UnsafePointer<UInt64>, _ bases: UnsafePointer<UInt64>, step: Int
    ) {
        let deep = AttemptScore.base(depth: step + 1)
        let column = unsafe found.base + (step - 1) * stride
        next.reserve(count)
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

/// Kept events of a step and the step 1 of each, enclosed in sentinels.
@safe private struct Entries {
    let keys: UnsafePointer<UInt64>
    let starts: UnsafePointer<UInt64>
    let count: Int
}

/// One level: the kept events of a step and all events of the next step. Its output is the kept events of the next step, each
/// as a pair `index of the earlier event << 32 | index of the later`.
@safe private struct Level {
    let entries: Entries
    let later: UnsafePointer<UInt64>
    let laterCount: Int
    let cuts: LaneCuts
    let rules: KernelRules

    /// Each kept event takes its earliest successor. Returns the number of those that have one.
    func takeEach(into pairs: inout Scratch<UInt64>) -> Int {
        pairs.reserve(entries.count + 6 * KeyBlock.gap)
        let kernel = unsafe EachEntry(
            keys: entries.keys, starts: entries.starts, later: later, out: pairs.base, slack: rules.slack,
            window: rules.window)
        let items = unsafe LaneRanges(cuts.parts(of: entries.keys, count: entries.count))
        let others = unsafe cuts.parts(of: later, count: laterCount)
        let output = kernel.run(items, others: others, gap: KeyBlock.gap)
        return Self.gather(output, pairs, dropsRepeats: false)
    }

    /// Each event takes its latest predecessor, unless an earlier event took it. Returns the number of those that have one.
    func takeLatest(into pairs: inout Scratch<UInt64>) -> Int {
        pairs.reserve(laterCount + 6 * KeyBlock.gap)
        let kernel = unsafe EachEvent(
            keys: entries.keys, starts: entries.starts, later: later, out: pairs.base, shift: rules.slack &- 1,
            window: rules.window)
        let items = unsafe LaneRanges(cuts.parts(of: later, count: laterCount))
        let others = unsafe cuts.parts(of: entries.keys, count: entries.count)
        let output = kernel.run(items, others: others, gap: KeyBlock.gap)
        return Self.gather(output, pairs, dropsRepeats: true)
    }

    /// Compacts the pairs of the four parts, with `dropsRepeats` keeping only the first pair of each earlier event.
    private static func gather(_ ranges: LaneRanges, _ scratch: borrowing Scratch<UInt64>, dropsRepeats: Bool) -> Int {
        let pairs = unsafe scratch.base
        var count = 0
        var last = UInt64.max
        for part in 0..<4 {
            var i = ranges.begin[part]
            let end = ranges.end[part]
            while i < end {
                // Never ahead of the reads: there is a gap before each part.
                let pair = unsafe pairs[i]
                unsafe pairs[count] = pair
                count &+= dropsRepeats && (pair &>> 32) == last ? 0 : 1
                last = pair &>> 32
                i &+= 1
            }
        }
        return count
    }
}

/// Skips up to eight kept events that may precede an event, and decides on the event if those were all. No branch depends on
/// the data. For memory safety see `DepthCounter`, `Level.advance`.
@safe private struct EachEvent: LaneKernel {
    let keys: UnsafePointer<UInt64>
    let starts: UnsafePointer<UInt64>
    let later: UnsafePointer<UInt64>
    let out: UnsafeMutablePointer<UInt64>
    /// The latest key that may precede b is `b + shift`.
    let shift: UInt64
    let window: UInt64

    @inline(__always)
    func advance(_ lane: inout Lane) {
        let key = unsafe later[lane.item]
        let skipped = unsafe KeyBlock.countUpTo(key &+ shift, keys + lane.other)
        lane.other &+= skipped
        let isDecided = skipped < 8 ? 1 : 0
        let start = unsafe starts[lane.other &- 1]
        unsafe out[lane.out] = UInt64(truncatingIfNeeded: lane.other &- 1) &<< 32 | UInt64(truncatingIfNeeded: lane.item)
        // Unsigned: here no event is before its start, and another user's start is outside every window.
        let isKept = key &- start <= window ? 1 : 0
        lane.out &+= isKept & isDecided
        lane.item &+= isDecided
    }
}

/// Skips up to four events that are too early for a kept event, and decides on the kept event if those were all. No branch
/// depends on the data.
///
/// Memory: neither a kept key nor the end of its window reaches the sentinels (`KernelRules.admit`). So `other` stays at or
/// before the first of them, and a sentinel is never taken for an event, even if keys are out of order.
@safe private struct EachEntry: LaneKernel {
    let keys: UnsafePointer<UInt64>
    let starts: UnsafePointer<UInt64>
    let later: UnsafePointer<UInt64>
    let out: UnsafeMutablePointer<UInt64>
    let slack: UInt64
    let window: UInt64

    @inline(__always)
    func advance(_ lane: inout Lane) {
        let last = unsafe keys[lane.item]
        let start = unsafe starts[lane.item]
        let skipped = unsafe KeyBlock.countUpToOfFour(last &- slack, later + lane.other)
        lane.other &+= skipped
        let isDecided = skipped < 4 ? 1 : 0
        let key = unsafe later[lane.other]
        unsafe out[lane.out] = UInt64(truncatingIfNeeded: lane.item) &<< 32 | UInt64(truncatingIfNeeded: lane.other)
        let isKept = key &- start <= window ? 1 : 0
        lane.out &+= isKept & isDecided
        lane.item &+= isDecided
    }
}
