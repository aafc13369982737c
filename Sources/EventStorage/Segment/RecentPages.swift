import Synchronization

/// Pages of a mapped file whose checksum was verified within the last minute, by their offset.
///
/// Pages that are read often stay in the page cache, and need no check each time. Later they may have been dropped and read
/// from the disk again, so they are checked again.
final class RecentPages: Sendable {
    static let period = Duration.seconds(60)

    private let seen = Mutex<[Int: ContinuousClock.Instant]>([:])

    /// Whether the checksum of a page is right.
    /// - Parameter sum: checks it; called if the last check is older than `period`.
    func holds(_ offset: Int, _ sum: () -> Bool) -> Bool {
        let now = ContinuousClock.now
        if let last = seen.withLock({ $0[offset] }), now - last < Self.period { return true }
        guard sum() else { return false }
        seen.withLock { $0[offset] = now }
        return true
    }
}
