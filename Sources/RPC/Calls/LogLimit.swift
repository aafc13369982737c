import Logging
import Synchronization

/// Limits the log lines of each kind per minute, so that a fault that repeats a thousand times a second is logged and does not fill
/// the disk.
package final class LogLimit: Sendable {
    private struct Kind {
        var since: ContinuousClock.Instant
        var lines = 0
        var leftOut = 0
    }

    private static let minute = Duration.seconds(60)
    private static let kindsMax = 1_000

    private let linesMax: Int
    private let kinds = Mutex<[String: Kind]>([:])

    /// A limit of log lines.
    /// - Parameter lines: max lines of a kind per minute.
    package init(lines: Int = 1) { linesMax = lines }

    /// Counts a line.
    /// - Returns: lines of the kind that were left out before this one; nil if this one is to be left out too.
    package func admit(_ kind: String, now: ContinuousClock.Instant = .now) -> Int? {
        kinds.withLock { kinds in
            if kinds[kind] == nil, kinds.count >= Self.kindsMax { kinds = kinds.filter { now - $0.value.since < Self.minute } }
            // A flood of kinds is left out too.
            guard kinds[kind] != nil || kinds.count < Self.kindsMax else { return nil }
            var known = kinds[kind] ?? Kind(since: now)
            defer { kinds[kind] = known }
            if now - known.since >= Self.minute { (known.since, known.lines) = (now, 0) }
            guard known.lines < linesMax else {
                known.leftOut += 1
                return nil
            }
            known.lines += 1
            defer { known.leftOut = 0 }
            return known.leftOut
        }
    }

    /// Logs, unless the minute's lines of this kind were logged already.
    package func log(
        _ logger: Logger, _ level: Logger.Level, _ kind: String, _ message: Logger.Message, _ metadata: @autoclosure () -> Logger.Metadata
    ) {
        guard logger.logLevel <= level, let leftOut = admit(kind) else { return }
        var metadata = metadata()
        if leftOut > 0 { metadata["left_out"] = "\(leftOut)" }
        logger.log(level: level, message, metadata: metadata)
    }
}
