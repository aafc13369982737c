import FunnelModel

/// One level of `EveryAttempt`: attempts that reached a step, and all events of the next.
@safe struct LinkLevel: LaneKernel {
    /// By attempt still going, ascending: key of its latest event, of its step 1, and its number.
    let latest: UnsafePointer<UInt64>
    let base: UnsafePointer<UInt64>
    let number: UnsafePointer<UInt32>
    let later: UnsafePointer<UInt64>
    let outLatest: UnsafeMutablePointer<UInt64>
    let outBase: UnsafeMutablePointer<UInt64>
    let outNumber: UnsafeMutablePointer<UInt32>
    /// By attempt number: index of the event that extended it, and its score.
    let found: UnsafeMutablePointer<UInt32>
    let score: UnsafeMutablePointer<UInt64>
    let slack: UInt64
    let window: UInt64
    /// Scores of an attempt that took no time, before and after this level.
    let shallow: UInt64
    let deep: UInt64

    /// Looks at one attempt: skips up to eight events that come too early for it, and if that was all of them, decides
    /// and goes on to the next attempt. No branch depends on the data; what is written before the decision is
    /// written over.
    ///
    /// Memory: no key of an attempt reaches the sentinels, nor does its window (`KernelRules.admit`), so `other` stays
    /// at or before the first of them and a sentinel is never taken for an event, even if keys are out of order.
    @inline(__always)
    func advance(_ lane: inout Lane) {
        let last = unsafe latest[lane.item]
        let start = unsafe base[lane.item]
        let own = unsafe number[lane.item]
        let skipped = unsafe KeyBlock.countUpTo(last &- slack, later + lane.other)
        lane.other &+= skipped
        let isDecided = skipped < 8 ? 1 : 0
        let key = unsafe later[lane.other]
        // Unsigned: the event is not before step 1, and one of another user is beyond any window.
        let took = key &- start
        let isKept: UInt64 = took <= window ? 1 : 0
        unsafe outLatest[lane.out] = key
        unsafe outBase[lane.out] = start
        unsafe outNumber[lane.out] = own
        unsafe found[Int(own)] = UInt32(truncatingIfNeeded: lane.other)
        // A choice by mask: as a branch it would be guessed wrong half of the time.
        let before = shallow &- (last &- start)
        let after = deep &- took
        unsafe score[Int(own)] = before ^ ((before ^ after) & (0 &- isKept))
        lane.out &+= Int(truncatingIfNeeded: isKept) & isDecided
        lane.item &+= isDecided
    }
}

/// The score of attempts: their depth above the ticks of `tookBits` left unused. Of two attempts that with the greater
/// score goes deeper or, as deep, took less.
enum AttemptScore {
    static let tookBits: UInt64 = 56
    static let tookMask: UInt64 = 1 << 56 - 1

    /// Of an attempt that took no time.
    static func base(depth: Int) -> UInt64 { UInt64(truncatingIfNeeded: depth) << tookBits | tookMask }
}

/// Extends every attempt of a slice by its earliest events, step by step.
///
/// As step 1 rises so does every event of its chain, so that each level is one pass over two ascending lists.
struct EveryAttempt: ~Copyable {
    private(set) var score = Scratch<UInt64>()
    /// Index in step k's list of the event that extended attempt j: element `(k - 1) * attempts + j`.
    private(set) var found = Scratch<UInt32>()
    private var going = GoingAttempts()
    private var next = GoingAttempts()

    /// Returns the greatest depth that some attempt may have.
    mutating func extend(_ starts: borrowing StartList, _ lists: [KeyList], _ listOfStep: [Int], _ rules: KernelRules) -> Int
    {
        let attempts = starts.count
        score.reserve(attempts)
        found.reserve(attempts * (rules.steps - 1))
        unsafe score.base.update(repeating: AttemptScore.base(depth: 1), count: attempts)
        let cuts = unsafe LaneCuts(balancing: starts.keys, count: attempts, timeBits: rules.timeBits)
        var ranges = unsafe LaneRanges(cuts.parts(of: starts.keys, count: attempts))
        unsafe going.start(with: starts.keys, count: attempts)
        for step in 1..<max(1, rules.steps) {
            let list = lists[listOfStep[step]]
            next.reserve(attempts + 6 * KeyBlock.gap)
            let isUsable = unsafe list.withKeys { later in
                guard list.count <= UInt32.max, unsafe rules.admit(later, count: list.count) else { return false }
                let level = unsafe LinkLevel(
                    latest: going.latest.base, base: going.base.base, number: going.number.base, later: later,
                    outLatest: next.latest.base, outBase: next.base.base, outNumber: next.number.base,
                    found: found.base + (step - 1) * attempts, score: score.base, slack: rules.slack,
                    window: rules.window, shallow: AttemptScore.base(depth: step),
                    deep: AttemptScore.base(depth: step + 1))
                let parts = unsafe cuts.parts(of: later, count: list.count)
                // The first level makes the room between parts that later ones, whose output is no longer, keep.
                ranges = level.run(ranges, others: parts, gap: step == 1 ? KeyBlock.gap : 0)
                return true
            }
            if !isUsable || ranges.total == 0 { return step }
            swap(&going, &next)
        }
        return rules.steps
    }
}

/// Attempts that reached some step: the key of that step's event, the key of step 1, and the attempt's number.
struct GoingAttempts: ~Copyable {
    var latest = Scratch<UInt64>()
    var base = Scratch<UInt64>()
    var number = Scratch<UInt32>()

    mutating func reserve(_ count: Int) {
        latest.reserve(count)
        base.reserve(count)
        number.reserve(count)
    }

    mutating func start(with keys: UnsafePointer<UInt64>, count: Int) {
        reserve(count)
        unsafe latest.base.update(from: keys, count: count)
        unsafe base.base.update(from: keys, count: count)
        for i in 0..<count { unsafe number.base[i] = UInt32(truncatingIfNeeded: i) }
    }
}
