import FunnelModel
import FunnelStatistics

/// Fractions as reports have them: null, never 0 or NaN, if the whole is 0.
enum Rate {
    static func of(_ part: UInt64, _ whole: UInt64) -> Double? { whole == 0 ? nil : Double(part) / Double(whole) }

    /// The 95 % interval, `[low, high]`.
    static func interval(_ successes: UInt64, of trials: UInt64, scale: Double = 1) -> JSONValue {
        guard let bounds = Wilson.interval(successes: successes, trials: trials) else { return .null }
        return [.double(bounds.low * scale), .double(bounds.high * scale)]
    }
}
