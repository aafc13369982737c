import Logging
import Synchronization

/// Lets one line of a kind into the log each minute, so that what goes wrong a thousand times a second is told and does not fill
/// the disk.
package final class LogLimit: Sendable {
    private struct Kind {
        var told: ContinuousClock.Instant
        var leftOut = 0
    }

    private static let pause = Duration.seconds(60)
    private static let kindsMax = 1_000

    private let kinds = Mutex<[String: Kind]>([:])

    package init() {}

    /// - Returns: lines of the kind that were left out before this one; nil where this one is to be left out too.
    package func admit(_ kind: String) -> Int? {
        kinds.withLock { kinds in
            let now = ContinuousClock.now
            if let known = kinds[kind], now - known.told < Self.pause {
                kinds[kind]?.leftOut += 1
                return nil
            }
            if kinds.count >= Self.kindsMax { kinds = kinds.filter { now - $0.value.told < Self.pause } }
            let leftOut = kinds[kind]?.leftOut ?? 0
            if kinds.count < Self.kindsMax || kinds[kind] != nil { kinds[kind] = Kind(told: now) }
            return leftOut
        }
    }

    /// Logs, unless a line of this kind was logged within the last minute.
    package func log(
        _ logger: Logger, _ level: Logger.Level, _ kind: String, _ message: Logger.Message, _ metadata: @autoclosure () -> Logger.Metadata
    ) {
        guard logger.logLevel <= level, let leftOut = admit(kind) else { return }
        var metadata = metadata()
        if leftOut > 0 { metadata["left_out"] = "\(leftOut)" }
        logger.log(level: level, message, metadata: metadata)
    }
}
