import FunnelModel
import TimeZones

/// When a report is due: a time of day in a time zone, on each day or on one day of the week.
package struct ReportSchedule: Equatable, Sendable {
    package enum Weekday: String, CaseIterable, Sendable { case monday, tuesday, wednesday, thursday, friday, saturday, sunday }

    /// A time that is due, and its day on the zone's calendar, in days since 1970.
    package struct Due: Equatable, Sendable {
        /// Microseconds since 1970 UTC.
        package var time: Int64
        package var day: Int64

        package init(time: Int64, day: Int64) {
            self.time = time
            self.day = day
        }
    }

    /// Nil: on each day.
    package var weekday: Weekday?
    /// Minute of the day.
    package var minute: Int
    /// IANA name.
    package var zone: ByteString

    package init(weekday: Weekday? = nil, minute: Int, zone: ByteString = "UTC") {
        self.weekday = weekday
        self.minute = minute
        self.zone = zone
    }

    private static let dayMicroseconds: Int64 = 86_400_000_000
    private static let minuteMicroseconds: Int64 = 60_000_000
    /// Clocks skip at most an hour or two, but for days that a zone leaves out.
    private static let skippedMinutes: Int64 = 180

    /// The last time that is not after `now`; nil only for a zone that is not known.
    package func latest(at now: Int64) -> Due? {
        find(now, days: stride(from: 1, through: -8, by: -1)) { $0 <= now }
    }

    /// The first time after `now`.
    package func next(after now: Int64) -> Due? {
        find(now, days: stride(from: -1, through: 9, by: 1)) { $0 > now }
    }

    /// The local day at an instant, in days since 1970.
    package func day(at now: Int64) -> Int64? {
        guard let zone = NamedZone(zone.string) else { return nil }
        let second = Timestamp.floorDivide(now, 1_000_000)
        return Timestamp.floorDivide(second + zone.offset(at: second), 86_400)
    }

    private func find(_ now: Int64, days: StrideThrough<Int64>, _ isRight: (Int64) -> Bool) -> Due? {
        guard Limits.storableTimes.contains(now), let named = NamedZone(zone.string), let today = day(at: now) else { return nil }
        var clock = LocalClock(named)
        for offset in days {
            let day = today + offset
            guard isChosen(day), let time = time(ofDay: day, &clock), isRight(time) else { continue }
            return Due(time: time, day: day)
        }
        return nil
    }

    private func isChosen(_ day: Int64) -> Bool {
        guard let weekday else { return true }
        // 1970-01-01 was a Thursday.
        return Weekday.allCases[Int(((day + 3) % 7 + 7) % 7)] == weekday
    }

    /// The earlier instant of a time of day that occurs twice; the first minute after the gap for one that is skipped.
    private func time(ofDay day: Int64, _ clock: inout LocalClock) -> Int64? {
        let shown = day * Self.dayMicroseconds + Int64(minute) * Self.minuteMicroseconds
        for later in 0...Self.skippedMinutes {
            if let time = clock.instant(showing: shown + later * Self.minuteMicroseconds) { return time }
        }
        return nil
    }
}

extension ReportSchedule {
    var json: JSONValue {
        var members: [JSONValue.Member] = [.init("every", weekday == nil ? "day" : "week")]
        if let weekday { members.append(.init("weekday", .text(weekday.rawValue))) }
        func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
        members += [.init("at", .text("\(two(minute / 60)):\(two(minute % 60))")), .init("time_zone", .string(zone))]
        return .object(members)
    }

    private enum Every: String, CaseIterable { case day, week }

    /// Reads the member `schedule`; nil if it has a fault.
    static func read(_ reader: inout FieldReader) -> ReportSchedule? {
        guard let value = reader.value("schedule") else {
            reader.faultAt("schedule", "is required: such as {\"every\": \"day\", \"at\": \"08:00\"}")
            return nil
        }
        var inner = FieldReader(value, path: "schedule.")
        defer { reader.merge(inner.faults) }
        guard value.asObject != nil else { return nil }
        let every: Every? = inner.choice("every")
        if inner.value("every") == nil { inner.faultAt("every", "is required: day or week") }
        let weekday: Weekday? = inner.choice("weekday")
        switch (every, inner.value("weekday")) {
        case (.day, .some): inner.faultAt("weekday", "is for \"every\": \"week\" only")
        case (.week, nil): inner.faultAt("weekday", "is required with \"every\": \"week\"")
        default: break
        }
        let text = inner.string("at")
        let minute = text.flatMap(minute)
        if inner.value("at") == nil {
            inner.faultAt("at", "is required: a time of day such as 08:00")
        } else if let text, minute == nil {
            inner.faultAt("at", "must be a time of day from 00:00 to 23:59; \"\(text.string.prefix(40))\" is not")
        }
        let zone = inner.string("time_zone") ?? "UTC"
        if NamedZone(zone.string) == nil {
            inner.faultAt("time_zone", "\"\(zone.string.prefix(60))\" is not an IANA time zone")
        }
        inner.rejectUnknown()
        guard inner.faults.isEmpty, let minute else { return nil }
        return ReportSchedule(weekday: weekday, minute: minute, zone: zone)
    }

    /// The minute of the day that `HH:MM` names.
    private static func minute(_ text: ByteString) -> Int? {
        let bytes = text.bytes
        let digits = bytes.map { Int($0) - 48 }
        guard bytes.count == 5, bytes[bytes.startIndex + 2] == UInt8(ascii: ":"),
            [0, 1, 3, 4].allSatisfy({ (0...9).contains(digits[$0]) })
        else { return nil }
        let (hour, minute) = (digits[0] * 10 + digits[1], digits[3] * 10 + digits[4])
        return hour < 24 && minute < 60 ? hour * 60 + minute : nil
    }
}
