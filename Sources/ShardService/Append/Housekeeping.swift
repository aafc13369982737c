import CShims
import Dispatch
import EventStorage
import Glibc
import NIOPosix

/// Background work of a store.
enum Housekeeping {
    /// Seals rows that are due, so that memory stays bounded.
    /// - Returns: whether any were due.
    static func seal(_ store: ShardStore<POSIXFileSystem>) -> Bool {
        guard store.sealIfDue() else { return false }
        while store.sealIfDue() {}
        return true
    }

    /// Returns freed memory from the allocator to the system. For idle times only, since threads that allocate meanwhile must wait.
    static func trim() { sluice_trim_memory() }

    /// Merges segment files that are due, for about 200 ms. Returns whether any were due.
    /// - Parameters:
    ///   - isIdle: no append has come for a while.
    ///   - bytesPerSecond: max rate of writing, on average over a few pieces of files.
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
        // Small merges follow at once, since there may be many months and projects.
        while ContinuousClock.now - start < .milliseconds(200), one() {}
        return true
    }

    /// Returns a function that runs work on `thread` and waits for it. If `thread` is shut down, the work runs on the caller's.
    static func urgently(on thread: NIOThreadPool) -> @Sendable (_ body: @escaping () -> Void) -> Void {
        { body in
            // The other thread may hold the closure for a moment after the signal, so the closure must be an escaping one.
            let handed = Handed(work: body)
            let done = DispatchSemaphore(value: 0)
            thread.submit { _ in
                handed.work()
                done.signal()
            }
            done.wait()
        }
    }

    /// Unchecked: one thread at a time uses it, since the caller waits until the other thread is done.
    private struct Handed: @unchecked Sendable {
        let work: () -> Void
    }

    /// Gives the calling thread the lowest priority (nice 19).
    static func giveWay() {
        // On Linux each thread has its own priority, and 0 is the calling thread.
        _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 19)
    }
}
