/// Token buckets, one for each key, with bounded memory. The time is passed in.
///
/// A bucket holds at most `burst` tokens and regains `perSecond`. More than `burst` may be taken from a full bucket, which is then in debt:
/// what is larger than a burst is delayed, and never refused for ever.
package struct TokenBuckets<Key: Hashable & Sendable>: Sendable {
    package let perSecond: Double
    package let burst: Double
    private let keysMax: Int
    /// By key, the time when its bucket is full, in nanoseconds. A full bucket needs no entry.
    private var fullAt: [Key: Double] = [:]

    /// - Parameters:
    ///   - perSecond: above 0.
    ///   - burst: above 0.
    ///   - keysMax: max buckets that are remembered.
    package init(perSecond: Double, burst: Double, keysMax: Int) {
        self.perSecond = perSecond
        self.burst = burst
        self.keysMax = max(2, keysMax)
    }

    /// Seconds below which a wait is an error of rounding.
    private static var rounding: Double { 1e-6 }

    /// Number of buckets that are remembered now.
    package var count: Int { fullAt.count }

    /// Seconds until `amount` may be taken; 0 if it may be now.
    /// - Parameter now: nanoseconds of a clock that does not go back.
    package func wait(for amount: Double, of key: Key, now: UInt64) -> Double {
        guard let full = fullAt[key] else { return 0 }
        // A bucket that is full in t seconds has `burst - t * perSecond` tokens.
        let wait = (full - Double(now)) / 1e9 - (burst - min(amount, burst)) / perSecond
        return wait < Self.rounding ? 0 : wait
    }

    /// Takes tokens, more than there are if need be.
    package mutating func take(_ amount: Double, of key: Key, now: UInt64) {
        guard amount > 0 else { return }
        if fullAt[key] == nil, fullAt.count >= keysMax { forget(now) }
        fullAt[key] = max(fullAt[key] ?? 0, Double(now)) + amount / perSecond * 1e9
    }

    /// Gives back tokens that were taken just before.
    package mutating func give(_ amount: Double, to key: Key) {
        guard amount > 0, let full = fullAt[key] else { return }
        fullAt[key] = full - amount / perSecond * 1e9
    }

    /// Forgets full buckets, and then those that are full soonest. At least half is forgotten at a time, so that a flood of keys does not
    /// sort them for each. A forgotten bucket counts as full.
    private mutating func forget(_ now: UInt64) {
        fullAt = fullAt.filter { $0.value > Double(now) }
        guard fullAt.count > keysMax / 2 else { return }
        let kept = fullAt.sorted { $0.value > $1.value }.prefix(keysMax / 2)
        fullAt = Dictionary(uniqueKeysWithValues: kept.map { ($0.key, $0.value) })
    }
}
