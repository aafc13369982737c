import Dispatch
import Glibc
import Synchronization

/// Handles SIGTERM and SIGINT of a service. The first begins a stop. The second ends the process at once, and so does a stop that
/// takes longer than `patience`. That loses nothing: all that was acknowledged is on disk.
final class StopSignals: Sendable {
    /// Max seconds of a stop. A supervisor should wait a little longer before it sends SIGKILL.
    static let patience = 9.5

    private let count = Atomic<Int>(0)
    private let sources = Mutex<[DispatchSource]>([])

    /// `onFirst` begins the stop; it must not block.
    init(onFirst: @escaping @Sendable (_ signal: String) -> Void) {
        // A queue of its own, since the threads of the task pool may all be busy.
        let queue = DispatchQueue(label: "stop-signals")
        for (number, name) in [(SIGTERM, "SIGTERM"), (SIGINT, "SIGINT")] {
            signal(number, SIG_IGN)
            guard let source = DispatchSource.makeSignalSource(signal: number, queue: queue) as? DispatchSource else { continue }
            source.setEventHandler { [self] in
                guard count.wrappingAdd(1, ordering: .relaxed).oldValue == 0 else { _exit(128 + number) }
                onFirst(name)
                queue.asyncAfter(deadline: .now() + Self.patience) {
                    let words = "the stop took longer than \(Self.patience) s and was cut short; what was acknowledged is on disk\n"
                    _ = words.withCString { write(STDERR_FILENO, $0, strlen($0)) }
                    _exit(1)
                }
            }
            source.resume()
            sources.withLock { $0.append(source) }
        }
    }
}
