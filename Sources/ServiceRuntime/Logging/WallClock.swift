import FunnelModel
import Glibc
import Logging

/// The machine's clock.
package enum WallClock {
    /// Microseconds since 1970 UTC.
    package static func now() -> Int64 {
        var spec = timespec()
        clock_gettime(CLOCK_REALTIME, &spec)
        return Int64(spec.tv_sec) * 1_000_000 + Int64(spec.tv_nsec) / 1_000
    }
}
