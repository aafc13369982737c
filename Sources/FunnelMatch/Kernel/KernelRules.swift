import FunnelModel

/// A funnel's rules as the kernels need them, in ticks of keys.
///
/// An event is a key `place << timeBits | tick`: `place` is the user's 0-based place in the slice, `tick` the event's
/// time counted from an instant `lead` ticks before the earliest event. `layout` gives the widths with which one subtraction of
/// keys decides "the same user, within the window".
package struct KernelRules: Equatable, Sendable {
    package var steps: Int
    package var timeBits: Int
    /// Conversion window, inclusive.
    package var window: UInt64
    /// A step must be later than the step before it minus this many ticks; 0 is sequential order.
    package var slack: UInt64
    package var anchor: FunnelDefinition.WindowAnchor
    package var entry: FunnelDefinition.Entry
    /// Whether all serial attempts of a user count, each strictly later than the end of the one before; else the one that
    /// `entry` chooses.
    package var isSerial: Bool
    /// Attempts whose step 1 is at or after this tick are open, unless they convert; nil if none is.
    package var openFrom: UInt64?
    /// Ascending ticks that divide attempts by their step 1 into `boundaries.count + 1` groups, matched independently. Group g
    /// has the attempts with exactly g boundaries at or before their step 1.
    package var boundaries: [UInt64]

    package init(
        steps: Int, timeBits: Int, window: UInt64, slack: UInt64 = 0,
        anchor: FunnelDefinition.WindowAnchor = .firstStep, entry: FunnelDefinition.Entry = .shortest, isSerial: Bool = false,
        openFrom: UInt64? = nil, boundaries: [UInt64] = []
    ) {
        self.steps = steps
        self.timeBits = timeBits
        self.window = window
        self.slack = slack
        self.anchor = anchor
        self.entry = entry
        self.isSerial = isSerial
        self.openFrom = openFrom
        self.boundaries = boundaries
    }

    /// How far before step 1 a chain can get: each step may precede the one before it by less than `slack`.
    package var drift: UInt64 { UInt64(truncatingIfNeeded: steps) &* slack }

    /// Widths of a key's fields.
    package struct Layout: Equatable, Sendable {
        /// Bits of a tick.
        package var timeBits: Int
        /// The tick of the earliest event.
        package var lead: UInt64
        /// The window, cut to the max span of the data: a longer one changes nothing.
        package var window: UInt64

        /// Users that one slice can hold.
        package var places: Int { 1 << (63 - timeBits) }
    }

    /// The narrowest layout for events at most `range` ticks apart; nil if not even two users would fit into a slice.
    ///
    /// Ticks are then in `lead ... lead + range`. So keys of different users differ by more than `window + 2 * drift + 3`, and
    /// a key plus `window + drift + 1` stays within its user.
    package static func layout(range: UInt64, window: UInt64, slack: UInt64, steps: Int) -> Layout? {
        let (drift, overflow) = slack.multipliedReportingOverflow(by: UInt64(max(0, steps)))
        guard !overflow, drift < 1 << 60, range < 1 << 61 else { return nil }
        let cut = min(window, range + drift)
        let needed = range + cut + 2 * drift + 4
        let timeBits = 64 - needed.leadingZeroBitCount
        guard timeBits <= 62 else { return nil }
        return Layout(timeBits: timeBits, lead: drift + 1, window: cut)
    }

    /// Whether a kernel may run over these keys without bounds checks: neither a key nor a key plus the reach of a window or
    /// limit gets to the sentinels. True for all keys of a correct layout, in any order.
    func admit(_ keys: UnsafePointer<UInt64>, count: Int) -> Bool {
        guard (0...62).contains(timeBits), window < 1 << 62, drift < 1 << 62, slack <= drift || steps < 1 else {
            return false
        }
        let reach = window &+ drift &+ 1
        // No key is larger than the bitwise or of all, which nearly always is small enough.
        let bound = unsafe Self.union(keys, count: count, adding: 0)
        if bound < 1 << 62, reach < 1 << 62 { return true }
        return unsafe bound | Self.union(keys, count: count, adding: reach) < 1 << 63
    }

    /// The bitwise or of all sums of a key and `addend`.
    private static func union(_ keys: UnsafePointer<UInt64>, count: Int, adding addend: UInt64) -> UInt64 {
        let wide = SIMD8(repeating: addend)
        var all = SIMD8<UInt64>(repeating: 0)
        var i = 0
        while i &+ 8 <= count {
            all |= unsafe UnsafeRawPointer(keys + i).loadUnaligned(as: SIMD8<UInt64>.self) &+ wide
            i &+= 8
        }
        var rest: UInt64 = 0
        while i < count {
            rest |= unsafe keys[i] &+ addend
            i &+= 1
        }
        for lane in all.indices { rest |= all[lane] }
        return rest
    }
}
