import FunnelModel

/// How a scan packs user and time into a key: `place << timeBits | tick`. The place is counted from the slice's first, the
/// tick is `time / unit - base`. Keys are exact and in the order of times if all times are multiples of the unit.
package struct KeyLayout: Equatable, Sendable {
    /// Microseconds of a tick.
    package var unit: Int64
    /// The time of tick 0, in units.
    package var base: Int64
    package var timeBits: Int

    package init(unit: Int64, base: Int64, timeBits: Int) {
        self.unit = unit
        self.base = base
        self.timeBits = timeBits
    }

    /// Max key, even if a file is damaged, so that a kernel's sentinels are above every key.
    static let mask: UInt64 = 1 << 62 - 1

    /// Max places of a slice: a key has room for them, the time and a mark.
    package var placesMax: Int { timeBits >= 61 ? 1 : 1 << (61 - timeBits) }

    /// Microseconds of a key.
    package func time(_ key: UInt64) -> Int64 { (Int64(key & (1 << UInt64(timeBits) - 1)) + base) * unit }

    /// Place of a key, counted from the slice's first.
    package func place(_ key: UInt64) -> Int { Int(key >> UInt64(timeBits)) }
}
