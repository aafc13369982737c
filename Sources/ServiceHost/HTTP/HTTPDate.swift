import FunnelModel
import ServiceRuntime
import Synchronization

/// The text of the `Date` header, in the format of RFC 9110 section 5.6.7.
enum HTTPDate {
    private static let last = Mutex((second: Int64.min, text: ""))
    private static let days = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    /// The text of the current second; formatted once a second.
    static func now() -> String {
        let second = WallClock.now() / 1_000_000
        return last.withLock { last in
            if last.second != second { last = (second, text(second)) }
            return last.text
        }
    }

    /// The text of a time in seconds since 1970 UTC; not negative.
    static func text(_ second: Int64) -> String {
        let day = second / 86_400
        let (year, month, dayOfMonth) = Timestamp.civil(day: day)
        let time = [second / 3_600 % 24, second / 60 % 60, second % 60].map(twoDigits).joined(separator: ":")
        return "\(days[Int(day % 7)]), \(twoDigits(dayOfMonth)) \(months[Int(month) - 1]) \(year) \(time) GMT"
    }

    private static func twoDigits(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }
}
