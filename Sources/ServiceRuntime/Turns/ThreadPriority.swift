import Glibc

/// The scheduling priority of threads.
package enum ThreadPriority {
    /// A niceness of 10 gives a busy thread about a tenth of the processor time of one of niceness 0.
    private static let niceness: Int32 = 10

    /// Lowers the priority of the calling thread for good: only a privileged process can raise it again.
    package static func lower() {
        // On Linux, process 0 is the calling thread.
        _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, niceness)
    }
}
