/// The length of time that one evaluation looks at.
package enum AlertPeriod: String, CaseIterable, Sendable {
    case fiveMinutes = "5m"
    case quarterHour = "15m"
    case halfHour = "30m"
    case hour = "1h"
    /// A day of the rule's time zone: 23 to 25 hours.
    case day = "1d"

    /// Microseconds; of a day, those of 24 hours.
    package var length: Int64 {
        switch self {
        case .fiveMinutes: 300_000_000
        case .quarterHour: 900_000_000
        case .halfHour: 1_800_000_000
        case .hour: 3_600_000_000
        case .day: 86_400_000_000
        }
    }

    /// As a noun in sentences.
    var words: String {
        switch self {
        case .fiveMinutes: "5 minutes"
        case .quarterHour: "15 minutes"
        case .halfHour: "30 minutes"
        case .hour: "hour"
        case .day: "day"
        }
    }
}
