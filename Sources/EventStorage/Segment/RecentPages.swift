import Synchronization

/// Pages of a mapped file whose checksum held a short while ago, by their offset.
///
/// What is read again and again lies in the system's memory, and need not be summed each time. Later on it may have been
/// dropped from there and be read from the disk anew, so it is summed again.
final class RecentPages: Sendable {
    static let period = Duration.seconds(60)

    private let seen = Mutex<[Int: ContinuousClock.Instant]>([:])

    /// - Parameter sum: tells whether the checksum holds; called where that is not known.
    func holds(_ offset: Int, _ sum: () -> Bool) -> Bool {
        let now = ContinuousClock.now
        if let last = seen.withLock({ $0[offset] }), now - last < Self.period { return true }
        guard sum() else { return false }
        seen.withLock { $0[offset] = now }
        return true
    }
}
