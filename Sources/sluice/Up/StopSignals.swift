import Foundation
import Synchronization

/// Catches SIGTERM, SIGINT and SIGHUP from its creation on. SIGHUP stops only if the terminal has closed. A second signal ends the process
/// at once; members notice that and stop.
final class StopSignals: Sendable {
    private struct State {
        var isStopped = false
        var lastWaiter: UInt64 = 0
        var waiters: [UInt64: CheckedContinuation<Void, Never>] = [:]
    }

    private let state = Mutex(State())
    private let sources = Mutex<[DispatchSource]>([])

    /// - Parameter hangup: is called at each SIGHUP that stops nothing.
    init(hangup: @escaping @Sendable () -> Void) {
        let queue = DispatchQueue(label: "stop-signals")
        // After `nohup` the process is to outlive its terminal.
        let endsWithTerminal = !Self.isIgnored(SIGHUP) && Self.hasTerminal
        for number in [SIGTERM, SIGINT, SIGHUP] {
            signal(number, SIG_IGN)
            guard let source = DispatchSource.makeSignalSource(signal: number, queue: queue) as? DispatchSource else { continue }
            source.setEventHandler { [weak self] in
                if number == SIGHUP, !endsWithTerminal || Self.hasTerminal { hangup() } else { self?.stop(number) }
            }
            source.resume()
            sources.withLock { $0.append(source) }
        }
    }

    /// Whether the process has a controlling terminal that is open.
    private static var hasTerminal: Bool {
        let file = open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC)
        if file >= 0 { close(file) }
        return file >= 0
    }

    private static func isIgnored(_ number: Int32) -> Bool {
        var action = sigaction()
        sigaction(number, nil, &action)
        // SIG_IGN is 1 (signal.h); functions cannot be compared.
        return unsafe unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == 1
    }

    private func stop(_ number: Int32) {
        if state.withLock({ $0.isStopped }) { _exit(128 + number) }
        let waiters = state.withLock { state in
            state.isStopped = true
            defer { state.waiters = [:] }
            return state.waiters
        }
        for waiter in waiters.values { waiter.resume() }
    }

    /// Returns once a signal has come, or when the task is cancelled.
    func wait() async {
        let number = state.withLock { state in
            state.lastWaiter += 1
            return state.lastWaiter
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { waiter in
                let waits = state.withLock { state in
                    let waits = !state.isStopped && !Task.isCancelled
                    if waits { state.waiters[number] = waiter }
                    return waits
                }
                if !waits { waiter.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: number) }?.resume()
        }
    }

    /// Runs `body` and returns its result. If a signal comes first, cancels `body` and returns nil.
    func unlessStopped<T: Sendable>(_ body: @escaping @Sendable () async -> T) async -> T? {
        await withTaskGroup(of: T?.self) { group in
            group.addTask { await body() }
            group.addTask {
                await self.wait()
                return nil
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            return first
        }
    }
}
