import FunnelModel

/// Finds the chosen attempt of each user of a slice and its events; with serial rules, all attempts.
///
/// It takes windows measured from step 1, and sequential order or a limit of one tick (ties count), where the events of a chain
/// are always distinct. There a step never precedes step 1. So of each attempt A, the chain that takes the first allowed event
/// at every step is both the deepest (it leaves most room) and the one that the rules choose (nearest to A, then in canonical
/// order). An attempt gets a score by depth and time taken; the first attempt with the max score is the user's.
///
/// Serial attempts need only the same chains: all events of an attempt are at or before its end, and the next A is strictly
/// later than that end. As no step precedes its A, events that an attempt used are out of reach of all later attempts.
package struct AttemptScan: ~Copyable {
    /// The outcomes of the slice scanned last.
    package internal(set) var outcomes: SliceOutcomes
    /// Users with an attempt, by group, over all slices so far.
    package private(set) var entered: [Int]
    /// Users with an open attempt who are not in the outcomes because they only reached step 1; by group, over all slices so
    /// far.
    package private(set) var shallowOpen: [Int]

    private let rules: KernelRules
    private let groups: AttemptGroups
    private let includeShallow: Bool
    /// Whether of attempts that meet only the latest must be followed; see `AttemptChains`.
    private let latestSuffices: Bool

    private var starts = StartList()
    private var chains = AttemptChains()
    private var rows = RowScratch()
    private var deepRows = RowScratch()
    /// Index in `starts` of the first attempt of each user and group.
    private var firsts = Scratch<UInt32>()

    /// Whether this kernel chooses attempts correctly under these rules.
    package static func takes(_ rules: KernelRules) -> Bool {
        rules.anchor == .firstStep && rules.slack <= 1 && rules.window <= AttemptScore.tookMask
            && (1...64).contains(rules.steps) && !(rules.isSerial && rules.entry == .first)
    }

    /// Nil if the kernel does not take the rules.
    ///
    /// - Parameter includeShallow: whether users who only reached step 1 have rows in the outcomes.
    package init?(_ rules: KernelRules, includeShallow: Bool) {
        guard Self.takes(rules) else { return nil }
        self.rules = rules
        self.includeShallow = includeShallow
        latestSuffices = rules.boundaries.isEmpty && rules.entry != .earliest && !rules.isSerial
        groups = AttemptGroups(rules.boundaries)
        outcomes = SliceOutcomes(steps: rules.steps)
        entered = Array(repeating: 0, count: rules.boundaries.count + 1)
        shallowOpen = entered
    }

    /// Scans a slice, given one list for each step.
    package mutating func scan(_ lists: [KeyList]) { scan(lists, listOfStep: Array(lists.indices)) }

    /// Scans a slice whose step k has the list `lists[listOfStep[k]]`; steps can share a list in sequential order.
    /// A list whose keys do not fit the rules' layout ends all chains before its step.
    package mutating func scan(_ lists: [KeyList], listOfStep: [Int]) {
        guard listOfStep.count == rules.steps else { return }
        let first = lists[listOfStep[0]]
        unsafe first.withKeys { keys in
            guard first.count > 0, first.count <= UInt32.max, unsafe rules.admit(keys, count: first.count) else {
                outcomes.resize(to: 0)
                return
            }
            unsafe starts.load(keys, count: first.count, rules: rules, groups: groups)
            let depth = chains.extend(starts, lists, listOfStep, rules, onlyLatest: latestSuffices)
            if rules.isSerial {
                takeSerially()
                dropShallow()
                emit(columns: depth)
                return
            }
            choose()
            if includeShallow || rules.openFrom != nil || groups.count > 1 {
                addShallowUsers()
                dropShallow()
            } else {
                entered[0] += unsafe KeyBlock.users(starts.keys, count: starts.count, timeBits: rules.timeBits)
                swap(&rows, &deepRows)
            }
            emit(columns: depth)
        }
    }

    /// Chooses among the attempts that reached step 2; writes `deepRows`.
    private mutating func choose() {
        deepRows.reserve(chains.roots + 1)
        var choice = AttemptChoice(rows: deepRows, rules: rules)
        let reader = userGroups
        var root = 0
        while root < chains.roots {
            let start = unsafe Int(chains.start.base[root])
            unsafe choice.consider(root, starts.keys[start], reader.userGroup(start), chains.score.base[root])
            root &+= 1
        }
        deepRows.count = choice.row + 1
        for row in 0..<deepRows.count {
            // Attempts with equal keys of step 1 have equal chains; the first one counts.
            var start = unsafe Int(chains.start.base[Int(deepRows.attempt.base[row])])
            while start > 0, unsafe starts.keys[start - 1] == starts.keys[start] { start -= 1 }
            unsafe deepRows.start.base[row] = UInt32(truncatingIfNeeded: start)
        }
    }

    /// Writes `rows`: the attempts in order, each strictly later than the end of the one before it of the same user and group.
    /// The end is the last event if the attempt converted, else the end of its window.
    private mutating func takeSerially() {
        // Each attempt is written; the next one overwrites it unless it counts.
        rows.reserve(starts.count + 1)
        let reader = userGroups
        let shallow = AttemptScore.base(depth: 1)
        let whole = AttemptScore.base(depth: rules.steps) & ~AttemptScore.tookMask
        var current = UInt64.max
        var end: UInt64 = 0
        var root = 0
        var row = 0
        for start in 0..<starts.count {
            let key = unsafe starts.keys[start]
            let userGroup = reader.userGroup(start)
            let isDeep = unsafe root < chains.roots && Int(chains.start.base[root]) == start
            let score = unsafe isDeep ? chains.score.base[root] : shallow
            unsafe rows.userGroup.base[row] = userGroup
            unsafe rows.best.base[row] = score
            unsafe rows.open.base[row] = 0
            unsafe rows.start.base[row] = UInt32(truncatingIfNeeded: start)
            unsafe rows.attempt.base[row] = UInt32(truncatingIfNeeded: isDeep ? root : 0)
            if userGroup != current || key > end {
                current = userGroup
                end = key &+ (score >= whole ? ~score & AttemptScore.tookMask : rules.window)
                row += 1
            }
            root += isDeep ? 1 : 0
        }
        rows.count = row
    }

    private var userGroups: UserGroupReader {
        unsafe UserGroupReader(
            keys: starts.keys, userGroups: groups.count > 1 ? UnsafePointer(starts.userGroups) : nil,
            timeBits: UInt64(rules.timeBits))
    }

    /// Writes `rows` from `deepRows`, one for each user and group. Without a deep attempt, the first attempt is chosen, and one
    /// is open if the last is.
    private mutating func addShallowUsers() {
        let users = findFirsts()
        rows.reserve(users)
        let openFrom = rules.openFrom ?? .max
        let canBeOpen = rules.openFrom != nil
        let tickMask: UInt64 = (1 << UInt64(rules.timeBits)) - 1
        let reader = userGroups
        let shallow = AttemptScore.base(depth: 1)
        // A sentinel after the last deep row, which no user matches.
        unsafe deepRows.userGroup.base[deepRows.count] = .max
        unsafe deepRows.best.base[deepRows.count] = 0
        unsafe deepRows.open.base[deepRows.count] = 0
        unsafe deepRows.start.base[deepRows.count] = 0
        unsafe deepRows.attempt.base[deepRows.count] = 0
        var deep = 0
        var row = 0
        while row < users {
            let first = unsafe firsts.base[row]
            let userGroup = reader.userGroup(Int(first))
            let isDeep = unsafe deepRows.userGroup.base[deep] == userGroup
            var shallowOpen: UInt64 = 0
            if canBeOpen {
                let last = unsafe starts.keys[Int(firsts.base[row &+ 1]) &- 1]
                shallowOpen = (last & tickMask) >= openFrom ? shallow : 0
            }
            unsafe rows.userGroup.base[row] = userGroup
            unsafe rows.best.base[row] = isDeep ? deepRows.best.base[deep] : shallow
            unsafe rows.open.base[row] = max(isDeep ? deepRows.open.base[deep] : 0, shallowOpen)
            unsafe rows.start.base[row] = isDeep ? deepRows.start.base[deep] : first
            unsafe rows.attempt.base[row] = isDeep ? deepRows.attempt.base[deep] : 0
            deep &+= isDeep ? 1 : 0
            row &+= 1
        }
        rows.count = users
    }

    /// Fills `firsts`, with the end as one more element; returns the number of users and groups.
    private mutating func findFirsts() -> Int {
        firsts.reserve(starts.count + 1)
        let reader = userGroups
        var users = 0
        var before = UInt64.max
        var j = 0
        while j < starts.count {
            let userGroup = reader.userGroup(j)
            unsafe firsts.base[users] = UInt32(truncatingIfNeeded: j)
            users &+= userGroup == before ? 0 : 1
            before = userGroup
            j &+= 1
        }
        unsafe firsts.base[users] = UInt32(truncatingIfNeeded: starts.count)
        return users
    }
}

// MARK: - Output

extension AttemptScan {
    /// Writes `rows` to the outcomes.
    ///
    /// - Parameter columns: the max depth of an attempt.
    private mutating func emit(columns: Int) {
        let count = rows.count
        outcomes.resize(to: count)
        let depthOfAll = UInt8(truncatingIfNeeded: rules.steps)
        let userGroups = unsafe UnsafePointer(rows.userGroup.base)
        let bests = unsafe UnsafePointer(rows.best.base)
        let opens = unsafe UnsafePointer(rows.open.base)
        outcomes.user.fill(count) { row in UInt32(truncatingIfNeeded: unsafe userGroups[row] &>> 32) }
        outcomes.group.fill(count) { row in UInt32(truncatingIfNeeded: unsafe userGroups[row]) }
        outcomes.depth.fill(count) { row in
            UInt8(truncatingIfNeeded: unsafe bests[row] &>> AttemptScore.tookBits)
        }
        outcomes.openDepth.fill(count) { row in
            let depth = UInt8(truncatingIfNeeded: unsafe bests[row] &>> AttemptScore.tookBits)
            return depth == depthOfAll ? 0 : UInt8(truncatingIfNeeded: unsafe opens[row] &>> AttemptScore.tookBits)
        }
        fillChosen(columns: columns)
    }

    /// Counts users, and unless `includeShallow` removes those who only reached step 1.
    private mutating func dropShallow() {
        if includeShallow, groups.count == 1 {
            entered[0] += rows.count
            return
        }
        let least: UInt64 = includeShallow ? 0 : AttemptScore.base(depth: 1) &+ 1
        let hasLaterSteps: UInt64 = rules.steps > 1 ? 1 : 0
        let hasGroups = groups.count > 1
        var kept = 0
        var open: UInt64 = 0
        var row = 0
        while row < rows.count {
            let best = unsafe rows.best.base[row]
            let openScore = unsafe rows.open.base[row]
            let userGroup = unsafe rows.userGroup.base[row]
            let isKept = best >= least
            let isShallowOpen = (isKept || openScore == 0 ? 0 : 1) & hasLaterSteps
            if hasGroups {
                let group = Int(truncatingIfNeeded: userGroup & 0xFFFF_FFFF)
                entered[group] &+= 1
                shallowOpen[group] &+= Int(truncatingIfNeeded: isShallowOpen)
            }
            open &+= isShallowOpen
            unsafe rows.userGroup.base[kept] = userGroup
            unsafe rows.best.base[kept] = best
            unsafe rows.open.base[kept] = openScore
            unsafe rows.start.base[kept] = rows.start.base[row]
            unsafe rows.attempt.base[kept] = rows.attempt.base[row]
            kept &+= isKept ? 1 : 0
            row &+= 1
        }
        if !hasGroups {
            entered[0] += rows.count
            shallowOpen[0] += Int(truncatingIfNeeded: open)
        }
        rows.count = kept
    }

    private mutating func fillChosen(columns: Int) {
        let starts = unsafe UnsafePointer(rows.start.base)
        let attempts = unsafe UnsafePointer(rows.attempt.base)
        if let index = unsafe self.starts.listIndex {
            outcomes.chosen[0].fill(rows.count) { row in unsafe index[Int(starts[row])] }
        } else {
            outcomes.chosen[0].fill(rows.count) { row in unsafe starts[row] }
        }
        for k in 1..<max(1, columns) {
            let column = unsafe chains.found.base + (k - 1) * chains.stride
            // Without a branch: steps that the attempt did not reach get meaningless indexes.
            outcomes.chosen[k].fill(rows.count) { row in unsafe column[Int(attempts[row])] }
        }
    }
}

/// Reads which user and group an attempt belongs to.
@safe private struct UserGroupReader {
    let keys: UnsafePointer<UInt64>
    /// Nil if there is only one group.
    let userGroups: UnsafePointer<UInt64>?
    let timeBits: UInt64

    /// `place << 32 | group` of attempt j.
    @inline(__always)
    func userGroup(_ j: Int) -> UInt64 {
        if let userGroups = unsafe userGroups { return unsafe userGroups[j] }
        return unsafe (keys[j] &>> timeBits) &<< 32
    }
}

extension Array where Element: BitwiseCopyable {
    /// Sets the first `count` elements; does nothing if there are fewer.
    @inline(__always)
    fileprivate mutating func fill(_ count: Int, _ value: (Int) -> Element) {
        unsafe withUnsafeMutableBufferPointer { buffer in
            guard count <= buffer.count, let base = buffer.baseAddress else { return }
            var row = 0
            while row < count {
                unsafe base[row] = value(row)
                row &+= 1
            }
        }
    }
}
