/// How fast new names of one kind may come: as many at once as an hour allows, and more as time goes by. Not stored: after an
/// opening a whole hour's worth may come at once.
struct NameRate: Equatable, Sendable {
    /// Seconds since 1970; until then the names that were taken up use up what is allowed.
    private var usedUntil: Double = 0

    /// Takes up one name.
    /// - Parameters:
    ///   - now: seconds since 1970.
    ///   - perHour: above 0.
    /// - Returns: false where it comes too early.
    mutating func take(now: UInt64, perHour: Int) -> Bool {
        let now = Double(now)
        // After a step back of the clock nobody waits for longer than an hour.
        let used = min(max(usedUntil, now), now + Self.hour)
        let next = used + Self.hour / Double(perHour)
        let isDue = next <= now + Self.hour + Self.rounding
        usedUntil = isDue ? next : used
        return isDue
    }

    private static let hour: Double = 3_600
    private static let rounding: Double = 1e-3
}
