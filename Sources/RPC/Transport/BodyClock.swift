import HTTP2

/// Whether a request body comes in fast enough, as a value: bytes and the time go in, a verdict comes out.
package struct BodyClock {
    /// How slow a body may be.
    package struct Limits: Sendable {
        /// Over each window of this length but the first, a body must move `bytesPerSecond`.
        package var window: Duration = .seconds(10)
        package var bytesPerSecond: Int = 4_096
        /// Added to the time that all bytes take at that rate; together that is the body's deadline.
        package var spare: Duration = .seconds(30)
        /// Max time to the deadline.
        package var most: Duration = .seconds(600)

        /// The defaults above.
        package init() {}
    }

    private let window: UInt64
    private let bytesPerWindow: Int
    private var end: UInt64
    private var windowEnd: UInt64
    private var bytes = 0
    private var isFirst = true
    private var lookedAt: UInt64

    /// Starts the clock of a body.
    /// - Parameters:
    ///   - expected: bytes of the whole body, or its max.
    ///   - now: nanoseconds.
    package init(_ limits: Limits, expected: Int, now: UInt64) {
        window = max(1, UInt64(limits.window.boundedNanoseconds))
        let rate = max(1, limits.bytesPerSecond)
        bytesPerWindow = max(1, Int(Double(rate) * Double(window) / 1e9))
        let most = UInt64(limits.most.boundedNanoseconds)
        // The announced size may be any number.
        let seconds = min(max(0, expected) / rate, 1_000_000)
        end = now + min(most, UInt64(seconds) * 1_000_000_000 + UInt64(limits.spare.boundedNanoseconds))
        windowEnd = now + window
        lookedAt = now
    }

    package mutating func arrived(_ count: Int) { bytes += count }

    /// Call if we did not read since the last check: the sender could not send, so that time does not count.
    package mutating func hold(now: UInt64) {
        end += now > lookedAt ? now - lookedAt : 0
        restart(now)
    }

    /// Whether the body is too slow, or past its deadline. To be called several times in a window.
    /// - Parameter sharers: bodies that arrive at the same time on the connection and share its rate.
    package mutating func isLate(now: UInt64, sharers: Int = 1) -> Bool {
        if now > lookedAt, now - lookedAt > window / 2 {
            // This process stood still, or its machine. What the sender has sent meanwhile was not read yet.
            hold(now: now)
            return false
        }
        lookedAt = now
        guard now < end else { return true }
        guard now >= windowEnd else { return false }
        let isSlow = !isFirst && bytes < max(1, bytesPerWindow / max(1, sharers))
        isFirst = false
        restart(now)
        return isSlow
    }

    private mutating func restart(_ now: UInt64) {
        windowEnd = now + window
        bytes = 0
        lookedAt = now
    }
}
