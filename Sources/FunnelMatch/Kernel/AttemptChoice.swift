import FunnelModel

/// The running choice over attempts in ascending order.
@safe struct AttemptChoice {
    private(set) var row = -1
    /// The current user and group; initially a value that none has.
    private var current = UInt64.max
    private var best: UInt64 = 0
    private var bestAttempt: UInt64 = 0
    private var open: UInt64 = 0
    private let userGroups: UnsafeMutablePointer<UInt64>
    private let bests: UnsafeMutablePointer<UInt64>
    private let opens: UnsafeMutablePointer<UInt64>
    private let attempts: UnsafeMutablePointer<UInt32>
    /// The bits of a score that are compared: only the depth, unless the shortest attempt wins.
    private let deciding: UInt64
    private let openFrom: UInt64
    private let tickMask: UInt64

    init(rows: borrowing RowScratch, rules: KernelRules) {
        unsafe userGroups = rows.userGroup.base
        unsafe bests = rows.best.base
        unsafe opens = rows.open.base
        unsafe attempts = rows.attempt.base
        deciding = rules.entry == .shortest ? .max : ~AttemptScore.tookMask
        openFrom = rules.openFrom ?? .max
        tickMask = (1 << UInt64(rules.timeBits)) - 1
    }

    /// Considers attempt `j`. Each attempt writes its user's row as of now, so that no branch waits for the user's last
    /// attempt.
    @inline(__always)
    mutating func consider(_ j: Int, _ key: UInt64, _ userGroup: UInt64, _ score: UInt64) {
        // Masks instead of conditions: no branch has to predict where a user ends or which attempt is better.
        let isNew: UInt64 = userGroup != current ? 1 : 0
        row &+= Int(truncatingIfNeeded: isNew)
        current = userGroup
        let goesOn = isNew &- 1
        let before = best & goesOn
        let now = score & deciding
        let isBetter: UInt64 = 0 &- (now > before ? 1 : 0)
        best = before ^ ((before ^ now) & isBetter)
        bestAttempt ^= (bestAttempt ^ UInt64(truncatingIfNeeded: j)) & isBetter
        let isOpen: UInt64 = 0 &- ((key & tickMask) >= openFrom ? 1 : 0)
        open = max(open & goesOn, score & isOpen)
        unsafe userGroups[row] = userGroup
        unsafe bests[row] = best
        unsafe opens[row] = open
        unsafe attempts[row] = UInt32(truncatingIfNeeded: bestAttempt)
    }
}
