import FunnelModel

/// How a scan writes times into keys: `place << timeBits | tick`, the place counted from the slice's first, the tick
/// `time / unit - base`. Exact, and the order of times, for every time that is a multiple of the unit.
package struct KeyLayout: Equatable, Sendable {
    /// Microseconds of a tick.
    package var unit: Int64
    /// Units that become tick 0.
    package var base: Int64
    package var timeBits: Int

    package init(unit: Int64, base: Int64, timeBits: Int) {
        self.unit = unit
        self.base = base
        self.timeBits = timeBits
    }

    /// Keys stay below this whatever a damaged file holds, so that a kernel's sentinels lie behind them.
    static let mask: UInt64 = 1 << 62 - 1

    /// Places that fit beside the time and a mark.
    package var placesMax: Int { timeBits >= 61 ? 1 : 1 << (61 - timeBits) }

    /// Microseconds of a key.
    package func time(_ key: UInt64) -> Int64 { (Int64(key & (1 << UInt64(timeBits) - 1)) + base) * unit }

    package func place(_ key: UInt64) -> Int { Int(key >> UInt64(timeBits)) }
}
