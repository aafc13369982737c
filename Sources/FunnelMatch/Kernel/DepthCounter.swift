import FunnelModel

/// Counts users by depth from key lists, without finding the chosen attempt.
///
/// Level by level: of the events of step k, those are kept that end a chain of k steps, each with the latest step 1 from which
/// such a chain starts. (With `previous_step` only the event itself matters, since it is the base of the next window.) An event
/// b of step k + 1 takes the latest kept event of step k that may precede it, and is kept if it is within the window.
///
/// Why one candidate suffices, though depth asks for *any* chain: let s(a) be the latest start of a chain that ends in a. A
/// later start is never worse, as the window bounds a chain only from above. So b is reached if and only if it is within the
/// window of the max s(a) over all kept a with a < b + slack. By induction s ascends with a: as b increases, candidates are
/// only added. So the max s(a) is that of the latest a, and an event that is dropped (the window has passed) could not have
/// served a later event either. This needs chains whose events are always distinct: sequential order, in which time increases
/// from step to step even if steps share events, or flexible order in which no event can fill two steps.
package struct DepthCounter: ~Copyable {
    /// Element i: users with a depth of at least i + 1, over all slices so far.
    package private(set) var counts: [Int]
    private let rules: KernelRules
    private var firsts = Scratch<UInt64>()
    private var keys = Scratch<UInt64>()
    private var starts = Scratch<UInt64>()
    private var nextKeys = Scratch<UInt64>()
    private var nextStarts = Scratch<UInt64>()

    package init(_ rules: KernelRules) {
        self.rules = rules
        counts = Array(repeating: 0, count: max(0, rules.steps))
    }

    /// Adds a slice, given one list for each step.
    package mutating func add(_ lists: [KeyList]) { add(lists, listOfStep: Array(lists.indices)) }

    /// Adds a slice whose step k has the list `lists[listOfStep[k]]`; steps can share a list in sequential order.
    /// A list whose keys do not fit the rules' layout ends all chains before its step.
    package mutating func add(_ lists: [KeyList], listOfStep: [Int]) {
        guard listOfStep.count == rules.steps, let first = listOfStep.first else { return }
        unsafe lists[first].withKeys { keys in
            guard unsafe rules.admit(keys, count: lists[first].count) else { return }
            var entries = unsafe Entries(keys: keys, starts: keys, count: lists[first].count)
            if rules.entry == .first { entries = firstOfEachUser(entries) }
            counts[0] += unsafe KeyBlock.users(entries.keys, count: entries.count, timeBits: rules.timeBits)
            guard rules.steps > 1, entries.count > 0 else { return }
            cascade(entries, lists, listOfStep)
        }
    }

    /// The kept events of step 1, in one part, enclosed in sentinels.
    @safe private struct Entries {
        var keys: UnsafePointer<UInt64>
        var starts: UnsafePointer<UInt64>
        var count: Int
    }

    private mutating func firstOfEachUser(_ entries: Entries) -> Entries {
        firsts.reserve(entries.count + 2 * KeyBlock.gap)
        let out = unsafe firsts.base + KeyBlock.gap
        let shift = UInt64(rules.timeBits)
        var kept = 0
        var i = 0
        while i < entries.count {
            let key = unsafe entries.keys[i]
            unsafe out[kept] = key
            // A sentinel precedes the first key; no key has its place.
            kept &+= unsafe (entries.keys[i &- 1] &>> shift) != (key &>> shift) ? 1 : 0
            i &+= 1
        }
        unsafe KeyBlock.enclose(firsts.base, KeyBlock.gap, KeyBlock.gap + kept)
        return unsafe Entries(keys: out, starts: out, count: kept)
    }

    private mutating func cascade(_ entries: Entries, _ lists: [KeyList], _ listOfStep: [Int]) {
        let second = lists[listOfStep[1]]
        let cuts = unsafe second.withKeys { keys in
            unsafe LaneCuts(balancing: keys, count: second.count, timeBits: rules.timeBits)
        }
        var from = unsafe cuts.parts(of: entries.keys, count: entries.count)
        var fromKeys = unsafe entries.keys
        var fromStarts = unsafe entries.starts
        for step in 1..<rules.steps {
            let list = lists[listOfStep[step]]
            nextKeys.reserve(list.count + 6 * KeyBlock.gap)
            nextStarts.reserve(list.count + 6 * KeyBlock.gap)
            var users = 0
            unsafe list.withKeys { later in
                guard unsafe rules.admit(later, count: list.count) else { return }
                let level = unsafe Level(
                    keys: fromKeys, starts: fromStarts, later: later, outKeys: nextKeys.base, outStarts: nextStarts.base,
                    rules: rules)
                let events = unsafe LaneRanges(cuts.parts(of: later, count: list.count))
                let ends = level.run(events, others: from, gap: KeyBlock.gap)
                for part in 0..<4 {
                    let begin = ends.begin[part]
                    unsafe KeyBlock.enclose(nextKeys.base, begin, ends.end[part])
                    unsafe nextStarts.base[begin - 1] = KeyList.frontSentinel
                    users += unsafe KeyBlock.users(
                        nextKeys.base + begin, count: ends.end[part] - begin, timeBits: rules.timeBits)
                    from[part] = begin
                }
            }
            if users == 0 { return }
            counts[step] += users
            swap(&keys, &nextKeys)
            swap(&starts, &nextStarts)
            unsafe fromKeys = UnsafePointer(keys.base)
            unsafe fromStarts = rules.anchor == .firstStep ? UnsafePointer(starts.base) : fromKeys
        }
    }
}

/// One level: the kept events of a step, all events of the next step, and the output, which of these are kept.
@safe private struct Level: LaneKernel {
    let keys: UnsafePointer<UInt64>
    let starts: UnsafePointer<UInt64>
    let later: UnsafePointer<UInt64>
    let outKeys: UnsafeMutablePointer<UInt64>
    let outStarts: UnsafeMutablePointer<UInt64>
    /// The latest key that may precede b is `b + shift`.
    let shift: UInt64
    let drift: UInt64
    /// Window plus drift.
    let limit: UInt64

    init(
        keys: UnsafePointer<UInt64>, starts: UnsafePointer<UInt64>, later: UnsafePointer<UInt64>,
        outKeys: UnsafeMutablePointer<UInt64>, outStarts: UnsafeMutablePointer<UInt64>, rules: KernelRules
    ) {
        unsafe self.keys = keys
        unsafe self.starts = starts
        unsafe self.later = later
        unsafe self.outKeys = outKeys
        unsafe self.outStarts = outStarts
        shift = rules.slack &- 1
        drift = rules.drift
        limit = rules.window &+ rules.drift
    }

    /// Tests one event of the later step: skips up to eight kept events that may precede it, and decides on the event if those
    /// were all. No branch depends on the data.
    ///
    /// Memory: no event plus `shift` reaches the sentinels (`KernelRules.admit`). So a block never counts a sentinel, and
    /// `other` stays at or before the first of them, even if keys are out of order. Output never runs ahead of the events read.
    @inline(__always)
    func advance(_ lane: inout Lane) {
        let key = unsafe later[lane.item]
        let skipped = unsafe KeyBlock.countUpTo(key &+ shift, keys + lane.other)
        lane.other &+= skipped
        let isDecided = skipped < 8 ? 1 : 0
        let start = unsafe starts[lane.other &- 1]
        unsafe outKeys[lane.out] = key
        unsafe outStarts[lane.out] = start
        // Unsigned: another user's start is too far away on either side; the drift admits an event before its start.
        let isKept = (key &- start) &+ drift <= limit ? 1 : 0
        lane.out &+= isKept & isDecided
        lane.item &+= isDecided
    }
}
