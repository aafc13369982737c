import Dispatch
import Glibc
import Synchronization

/// Handles SIGHUP, which otherwise ends the process. Signals that arrive close together may run the handler once.
package final class HangupSignal: Sendable {
    private let source: Mutex<DispatchSource?>

    /// - Parameter body: runs on `queue`.
    package init(on queue: DispatchQueue, _ body: @escaping @Sendable () -> Void) {
        signal(SIGHUP, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: SIGHUP, queue: queue) as? DispatchSource
        source?.setEventHandler(handler: body)
        source?.resume()
        self.source = Mutex(source)
    }
}
