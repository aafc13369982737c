import CShims
import Dispatch
import EventStorage
import Glibc
import NIOPosix

/// The work of a store that nobody waits for.
enum Housekeeping {
    /// Seals rows that are due, so that memory stays bounded.
    /// - Returns: whether any were due.
    static func seal(_ store: ShardStore<POSIXFileSystem>) -> Bool {
        guard store.sealIfDue() else { return false }
        while store.sealIfDue() {}
        return true
    }

    /// Gives back what the allocator keeps for the next rows. Only for idle times: whoever needs memory meanwhile waits.
    static func trim() { sluice_trim_memory() }

    /// Merges segments that are due, for about 200 ms. Returns whether any were due.
    /// - Parameters:
    ///   - isIdle: no append came for a while.
    ///   - bytesPerSecond: what is written at most, on average over a few files' pieces.
    static func merge(_ store: ShardStore<POSIXFileSystem>, isIdle: Bool, bytesPerSecond: Int) -> Bool {
        let start = ContinuousClock.now
        var written = 0
        func one() -> Bool {
            store.mergeIfDue(isIdle: isIdle) { bytes in
                written += bytes
                let due = Double(written) / Double(bytesPerSecond)
                let elapsed = (ContinuousClock.now - start) / .seconds(1)
                if due > elapsed { usleep(UInt32(min(1e6, (due - elapsed) * 1e6))) }
            }
        }
        guard one() else { return false }
        // Small ones follow at once, since months and projects may be many.
        while ContinuousClock.now - start < .milliseconds(200), one() {}
        return true
    }

    /// Runs work on another thread and waits for it; on the present one where the other is shut down.
    static func urgently(on thread: NIOThreadPool) -> @Sendable (_ body: @escaping () -> Void) -> Void {
        { body in
            // The other thread may keep the work for a moment after it is done, so it is one that may outlive the call.
            let handed = Handed(work: body)
            let done = DispatchSemaphore(value: 0)
            thread.submit { _ in
                handed.work()
                done.signal()
            }
            done.wait()
        }
    }

    /// Unchecked: one thread at a time has it, since whoever hands it over waits until the other thread is done with it.
    private struct Handed: @unchecked Sendable {
        let work: () -> Void
    }

    /// Makes the calling thread give way to all others.
    static func giveWay() {
        // On Linux a thread has its own, and 0 is the calling one.
        _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 19)
    }
}
