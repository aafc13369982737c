/// A token bucket that limits new names of one kind. It holds the tokens of one hour and refills evenly. It is not stored, so
/// it is full after an opening.
struct NameRate: Equatable, Sendable {
    /// When the bucket is full again, in seconds since 1970.
    private var usedUntil: Double = 0

    /// Takes the token for one new name.
    /// - Parameters:
    ///   - now: seconds since 1970.
    ///   - perHour: above 0.
    /// - Returns: false if there is no token.
    mutating func take(now: UInt64, perHour: Int) -> Bool {
        let now = Double(now)
        // If the clock was set back, the wait is still an hour at most.
        let used = min(max(usedUntil, now), now + Self.hour)
        let next = used + Self.hour / Double(perHour)
        let isDue = next <= now + Self.hour + Self.rounding
        usedUntil = isDue ? next : used
        return isDue
    }

    private static let hour: Double = 3_600
    private static let rounding: Double = 1e-3
}
