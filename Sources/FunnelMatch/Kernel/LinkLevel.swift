import FunnelModel

/// Ranges of a buffer that hold the four parts of a slice.
struct LaneRanges {
    var begin: InlineArray<4, Int> = [0, 0, 0, 0]
    var end: InlineArray<4, Int> = [0, 0, 0, 0]

    init() {}

    init(_ parts: InlineArray<5, Int>) {
        for part in 0..<4 {
            begin[part] = parts[part]
            end[part] = parts[part + 1]
        }
    }

    var total: Int { (0..<4).reduce(0) { $0 + end[$1] - begin[$1] } }
}

/// One level of `AttemptScan`: attempts that reached a step, and all events of the next.
@safe struct LinkLevel {
    /// Key of each attempt's latest event, and of its step 1; ascending.
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

    /// The score of an attempt that took no time.
    static func score(depth: Int) -> UInt64 {
        UInt64(truncatingIfNeeded: depth) << UInt64(AttemptScan.tookBits) | AttemptScan.tookMask
    }

    /// - Parameter depth: steps that the attempts have reached.
    init(
        latest: UnsafePointer<UInt64>, base: UnsafePointer<UInt64>, number: UnsafePointer<UInt32>,
        later: UnsafePointer<UInt64>, outLatest: UnsafeMutablePointer<UInt64>, outBase: UnsafeMutablePointer<UInt64>,
        outNumber: UnsafeMutablePointer<UInt32>, found: UnsafeMutablePointer<UInt32>,
        score: UnsafeMutablePointer<UInt64>, depth: Int, rules: KernelRules
    ) {
        unsafe self.latest = latest
        unsafe self.base = base
        unsafe self.number = number
        unsafe self.later = later
        unsafe self.outLatest = outLatest
        unsafe self.outBase = outBase
        unsafe self.outNumber = outNumber
        unsafe self.found = found
        unsafe self.score = score
        slack = rules.slack
        window = rules.window
        shallow = Self.score(depth: depth)
        deep = Self.score(depth: depth + 1)
    }

    /// Indexes of one part: next attempt and the end of attempts, next event, next place for output.
    private struct Lane {
        var attempt: Int
        let end: Int
        var event: Int
        var out: Int

        @inline(__always) var runs: Bool { attempt < end }
    }

    /// - Parameter isFirst: attempts are all of the slice, in order, so that an attempt's index is its number.
    @inline(__always)
    func run(_ attempts: LaneRanges, _ events: InlineArray<5, Int>, isFirst: Bool) -> LaneRanges {
        func lane(_ part: Int) -> Lane {
            // Room enough between the parts, as each part's output is no longer than its input.
            let out = isFirst ? attempts.begin[part] + part * KeyBlock.gap : attempts.begin[part]
            return Lane(attempt: attempts.begin[part], end: attempts.end[part], event: events[part], out: out)
        }
        var a = lane(0)
        var b = lane(1)
        var c = lane(2)
        var d = lane(3)
        var result = LaneRanges()
        result.begin = [a.out, b.out, c.out, d.out]
        while a.runs, b.runs, c.runs, d.runs {
            advance(&a, isFirst)
            advance(&b, isFirst)
            advance(&c, isFirst)
            advance(&d, isFirst)
        }
        while a.runs { advance(&a, isFirst) }
        while b.runs { advance(&b, isFirst) }
        while c.runs { advance(&c, isFirst) }
        while d.runs { advance(&d, isFirst) }
        result.end = [a.out, b.out, c.out, d.out]
        return result
    }

    /// Looks at one attempt: skips up to eight events that come too early for it, and if that was all of them, decides
    /// and goes on to the next attempt. No branch depends on the data; what is written before the decision is
    /// written over.
    ///
    /// Memory: no key of an attempt reaches the sentinels, nor does its window (`KernelRules.admit`), so `event` stays
    /// at or before the first of them and a sentinel is never taken for an event, even if keys are out of order.
    @inline(__always)
    private func advance(_ lane: inout Lane, _ isFirst: Bool) {
        let last = unsafe latest[lane.attempt]
        let start = unsafe isFirst ? last : base[lane.attempt]
        let own = unsafe isFirst ? UInt32(truncatingIfNeeded: lane.attempt) : number[lane.attempt]
        let skipped = unsafe KeyBlock.countUpTo(last &- slack, later + lane.event)
        lane.event &+= skipped
        let isDecided = skipped < 8 ? 1 : 0
        let key = unsafe later[lane.event]
        // Unsigned: the event is not before step 1, and one of another user is beyond any window.
        let took = key &- start
        let isKept = took <= window
        unsafe outLatest[lane.out] = key
        unsafe outBase[lane.out] = start
        unsafe outNumber[lane.out] = own
        unsafe found[Int(own)] = UInt32(truncatingIfNeeded: lane.event)
        unsafe score[Int(own)] = isKept ? deep &- took : shallow &- (last &- start)
        lane.out &+= (isKept ? 1 : 0) & isDecided
        lane.attempt &+= isDecided
    }
}
