import CShims

/// The scheduling priority of threads.
package enum ThreadPriority {
    /// Lowers the priority of the calling thread for good, for work that others should not wait for. Only a privileged process could
    /// raise it again.
    package static func lower() { _ = sluice_lower_priority() }
}
