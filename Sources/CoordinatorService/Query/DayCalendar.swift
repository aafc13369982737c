import Foundation
import FunnelModel
import TimeZones

/// Where days begin in a named time zone, daylight saving included.
package struct DayCalendar: Sendable {
    private let calendar: Calendar
    private let zone: NamedZone

    static let utc = DayCalendar(.utc)

    private init(_ zone: NamedZone) {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = zone.zone
        self.calendar = calendar
        self.zone = zone
    }

    /// Nil if the name is not in the IANA database.
    package init?(zone: String) {
        guard let found = NamedZone(zone) else { return nil }
        self.init(found)
    }

    /// Start of a local day, in microseconds; `utcMidnight` is 00:00 UTC of its date.
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
    func offset(at second: Int64) -> Int64 { zone.offset(at: second) }

    private func microseconds(_ date: Date) -> Int64 { Int64(date.timeIntervalSince1970) * 1_000_000 }
}
