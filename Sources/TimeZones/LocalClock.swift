/// Converts local times of a zone to instants; fast if the times are nearly in order.
package struct LocalClock: Sendable {
    private let zone: NamedZone
    /// A range of UTC seconds without a change of the clock.
    private var known: Range<Int64> = 0..<0
    /// Its offset: seconds that the clock is ahead of UTC.
    private var ahead: Int64 = 0

    package init(_ zone: NamedZone) { self.zone = zone }

    /// The instant of a local time.
    /// - Parameter shown: the local time, in microseconds since 1970 on the same clock.
    /// - Returns: microseconds since 1970 UTC; the earlier instant of a time that occurs twice, nil for one that does not
    ///   exist.
    package mutating func instant(showing shown: Int64) -> Int64? {
        // `known` is a day away from any change, so no other offset can give the same local time.
        let guess = floorSeconds(shown) - ahead
        if known.contains(guess) { return shown - ahead * 1_000_000 }
        let second = floorSeconds(shown)
        // No zone is more than a day from UTC, and none changes its clock twice within two days.
        let before = zone.offset(at: second - Self.day)
        let after = zone.offset(at: second + Self.day)
        if before == after {
            keep(around: second, before)
            return shown - before * 1_000_000
        }
        // The larger offset gives the earlier instant.
        for offset in [max(before, after), min(before, after)] where zone.offset(at: second - offset) == offset {
            return shown - offset * 1_000_000
        }
        return nil
    }

    /// The first instant of a local day.
    /// - Parameter shown: 00:00 of the day, in microseconds since 1970 on the zone's clock.
    /// - Returns: microseconds since 1970 UTC; later than 00:00 if clocks skip midnight, nil for a day that the zone left out.
    package mutating func firstInstant(ofDay shown: Int64) -> Int64? {
        if let midnight = instant(showing: shown) { return midnight }
        let second = floorSeconds(shown)
        var low = second - Self.day
        var high = second + Self.day
        let before = zone.offset(at: low)
        while high - low > 1 {
            let middle = low + (high - low) / 2
            if zone.offset(at: middle) == before { low = middle } else { high = middle }
        }
        return high + zone.offset(at: high) < second + Self.day ? high * 1_000_000 : nil
    }

    /// Remembers the day around a local time if the clock does not change near it.
    private mutating func keep(around second: Int64, _ offset: Int64) {
        guard zone.offset(at: second - 2 * Self.day) == offset, zone.offset(at: second + 2 * Self.day) == offset else { return }
        ahead = offset
        known = (second - Self.day / 2)..<(second + Self.day / 2)
    }

    private static let day: Int64 = 86_400

    private func floorSeconds(_ microseconds: Int64) -> Int64 {
        microseconds >= 0 ? microseconds / 1_000_000 : -((999_999 - microseconds) / 1_000_000)
    }
}
