import Foundation
import FunnelModel

/// Where days begin in a named time zone, daylight saving included.
package struct DayCalendar: Sendable {
    private let calendar: Calendar

    static let utc = DayCalendar(.gmt)

    private init(_ zone: TimeZone) {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = zone
        self.calendar = calendar
    }

    /// nil where the name is not in the IANA database. Abbreviations, which Foundation takes too, are not names.
    package init?(zone: String) {
        if zone == "UTC" {
            self = .utc
            return
        }
        guard TimeZone.knownTimeZoneIdentifiers.contains(zone) || zone.contains("/"), let found = TimeZone(identifier: zone)
        else { return nil }
        self.init(found)
    }

    /// - Parameter utcMidnight: 00:00 UTC of the date, in microseconds.
    func start(ofDay utcMidnight: Int64) -> Int64? {
        let (year, month, day) = Timestamp.civil(day: Timestamp.floorDivide(utcMidnight, 86_400_000_000))
        let noon = DateComponents(year: Int(year), month: Int(month), day: Int(day), hour: 12)
        // Noon exists on every day; midnight does not where clocks change then.
        return calendar.date(from: noon).map { microseconds(calendar.startOfDay(for: $0)) }
    }

    /// The first instant after the day.
    func end(ofDay utcMidnight: Int64) -> Int64? { start(ofDay: utcMidnight + 86_400_000_000) }

    /// Seconds that the zone's clock is ahead of UTC.
    /// - Parameter second: since 1970 UTC.
    func offset(at second: Int64) -> Int64 {
        Int64(calendar.timeZone.secondsFromGMT(for: Date(timeIntervalSince1970: Double(second))))
    }

    private func microseconds(_ date: Date) -> Int64 { Int64(date.timeIntervalSince1970) * 1_000_000 }
}
