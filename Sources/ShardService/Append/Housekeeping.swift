import FunnelStorage
import Glibc

/// The work of a store that nobody waits for.
enum Housekeeping {
    /// Seals, or merges once, if something is due.
    /// - Parameter bytesPerSecond: what is written at most, on average over a few files' pieces.
    static func run(_ store: ShardStore<POSIXFileSystem>, bytesPerSecond: Int) {
        let start = ContinuousClock.now
        var written = 0
        _ = store.maintain { bytes in
            written += bytes
            let due = Double(written) / Double(bytesPerSecond)
            let elapsed = (ContinuousClock.now - start) / .seconds(1)
            if due > elapsed { usleep(UInt32(min(1e6, (due - elapsed) * 1e6))) }
        }
    }

    /// Makes the calling thread give way to appends and queries.
    static func lowerPriority() {
        // On Linux a thread has its own, and 0 is the calling one.
        _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 10)
    }
}
