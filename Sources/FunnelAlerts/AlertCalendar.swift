import FunnelModel
import TimeZones

/// Where periods begin and end, in microseconds since 1970. Days are those of a time zone; shorter periods divide the hours of UTC.
package struct AlertCalendar: Sendable {
    private let zone: NamedZone

    package init(_ zone: NamedZone) { self.zone = zone }

    /// Nil if the name is not in the IANA database.
    package init?(zone name: String) {
        guard let zone = NamedZone(name) else { return nil }
        self.zone = zone
    }

    /// The last period that has ended by an instant.
    package func period(_ length: AlertPeriod, endingBy instant: Int64) -> Range<Int64> {
        let end = length == .day ? start(ofDay: day(at: instant)) : Timestamp.floorDivide(instant, length.length) * length.length
        return period(length, endingAt: end)
    }

    /// The period before another one.
    package func period(_ length: AlertPeriod, before period: Range<Int64>) -> Range<Int64> {
        self.period(length, endingAt: period.lowerBound)
    }

    /// The period that begins where another one ends.
    package func period(_ length: AlertPeriod, after period: Range<Int64>) -> Range<Int64> {
        let start = period.upperBound
        return start..<(length == .day ? self.start(ofDay: day(at: start) + 1) : start + length.length)
    }

    /// The period that began at the same time on the clock, whole weeks before.
    /// - Returns: nil if clocks skipped that time.
    package func period(_ length: AlertPeriod, weeks: Int, before period: Range<Int64>) -> Range<Int64>? {
        let back = Int64(weeks) * 7 * Self.day
        if length == .day {
            let day = day(at: period.lowerBound) - Int64(weeks) * 7
            let (low, high) = (start(ofDay: day), start(ofDay: day + 1))
            return low < high ? low..<high : nil
        }
        var clock = LocalClock(zone)
        guard let start = clock.instant(showing: shown(period.lowerBound) - back) else { return nil }
        return start..<start + length.length
    }

    /// Minutes since 00:00 on the zone's clock.
    package func minute(at instant: Int64) -> Int {
        let local = shown(instant)
        return Int((local - Timestamp.floorDivide(local, Self.day) * Self.day) / 60_000_000)
    }

    // MARK: - Days

    private static let day: Int64 = 86_400_000_000

    private func period(_ length: AlertPeriod, endingAt end: Int64) -> Range<Int64> {
        guard length == .day else { return end - length.length..<end }
        var day = day(at: end) - 1
        // A day that the zone left out begins where the next one does.
        while start(ofDay: day) >= end { day -= 1 }
        return start(ofDay: day)..<end
    }

    private func shown(_ instant: Int64) -> Int64 { instant + zone.offset(at: Timestamp.floorDivide(instant, 1_000_000)) * 1_000_000 }

    /// The first instant of a day; days since 1970-01-01. That of the next day if the zone left the day out.
    private func start(ofDay day: Int64) -> Int64 {
        var clock = LocalClock(zone)
        for next in day...day + 2 {
            if let start = clock.firstInstant(ofDay: next * Self.day) { return start }
        }
        return day * Self.day
    }

    /// The local day of an instant: the last one that has begun.
    private func day(at instant: Int64) -> Int64 {
        var day = Timestamp.floorDivide(shown(instant), Self.day)
        // Where clocks go back over midnight, a day's last hour shows the next day's date.
        while start(ofDay: day) > instant { day -= 1 }
        while start(ofDay: day + 1) <= instant { day += 1 }
        return day
    }
}
