import CFunnelShims
import FunnelStorage
import Glibc

/// The work of a store that nobody waits for.
enum Housekeeping {
    /// Seals what is due, so that memory stays bounded.
    static func seal(_ store: ShardStore<POSIXFileSystem>) { while store.sealIfDue() {} }

    /// Gives back what the allocator keeps for the next rows. Only for idle times: whoever needs memory meanwhile waits.
    static func trim() { sluice_trim_memory() }

    /// Does one merge if one is due, and tells whether one was.
    /// - Parameters:
    ///   - isIdle: no append came for a while.
    ///   - bytesPerSecond: what is written at most, on average over a few files' pieces.
    static func merge(_ store: ShardStore<POSIXFileSystem>, isIdle: Bool, bytesPerSecond: Int) -> Bool {
        let start = ContinuousClock.now
        var written = 0
        return store.mergeIfDue(isIdle: isIdle) { bytes in
            written += bytes
            let due = Double(written) / Double(bytesPerSecond)
            let elapsed = (ContinuousClock.now - start) / .seconds(1)
            if due > elapsed { usleep(UInt32(min(1e6, (due - elapsed) * 1e6))) }
        }
    }

    /// Makes the calling thread give way to all others.
    static func giveWay() {
        // On Linux a thread has its own, and 0 is the calling one.
        _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 19)
    }
}
