import Foundation

/// A time zone of the IANA database, by any of its names.
package struct NamedZone: Sendable {
    package let zone: TimeZone

    package static let utc = NamedZone(zone: .gmt)

    private init(zone: TimeZone) { self.zone = zone }

    /// Nil if the database has no such name. Abbreviations that Foundation accepts, such as PDT, are no names.
    package init?(_ name: String) {
        if let target = Self.links[name] {
            guard let zone = target == "UTC" ? .gmt : TimeZone(identifier: target) else { return nil }
            self.zone = zone
            return
        }
        guard name.contains("/") || TimeZone.knownTimeZoneIdentifiers.contains(name), let zone = TimeZone(identifier: name) else {
            return nil
        }
        self.zone = zone
    }

    /// Names without a slash, and the zones that they link to (tzdata 2024b, `backward` and `etcetera`). Foundation does not
    /// list them, or takes them for abbreviations.
    private static let links: [String: String] = [
        "CET": "Europe/Brussels", "CST6CDT": "America/Chicago", "Cuba": "America/Havana", "EET": "Europe/Athens",
        "EST": "America/Panama", "EST5EDT": "America/New_York", "Egypt": "Africa/Cairo", "Eire": "Europe/Dublin",
        "GB": "Europe/London", "GB-Eire": "Europe/London", "GMT": "UTC", "GMT+0": "UTC", "GMT-0": "UTC", "GMT0": "UTC",
        "Greenwich": "UTC", "HST": "Pacific/Honolulu", "Hongkong": "Asia/Hong_Kong", "Iceland": "Africa/Abidjan", "Iran": "Asia/Tehran",
        "Israel": "Asia/Jerusalem", "Jamaica": "America/Jamaica", "Japan": "Asia/Tokyo", "Kwajalein": "Pacific/Kwajalein",
        "Libya": "Africa/Tripoli", "MET": "Europe/Brussels", "MST": "America/Phoenix", "MST7MDT": "America/Denver",
        "NZ": "Pacific/Auckland", "NZ-CHAT": "Pacific/Chatham", "Navajo": "America/Denver", "PRC": "Asia/Shanghai",
        "PST8PDT": "America/Los_Angeles", "Poland": "Europe/Warsaw", "Portugal": "Europe/Lisbon", "ROC": "Asia/Taipei",
        "ROK": "Asia/Seoul", "Singapore": "Asia/Singapore", "Turkey": "Europe/Istanbul", "UCT": "UTC", "UTC": "UTC", "Universal": "UTC",
        "W-SU": "Europe/Moscow", "WET": "Europe/Lisbon", "Zulu": "UTC",
    ]

    /// Seconds that the zone's clock is ahead of UTC.
    /// - Parameter second: since 1970 UTC.
    package func offset(at second: Int64) -> Int64 { Int64(zone.secondsFromGMT(for: Date(timeIntervalSince1970: Double(second)))) }
}
