import Foundation
import Synchronization

/// SIGTERM, SIGINT and SIGHUP, caught from the moment it is made.
final class StopSignals: Sendable {
    private struct State {
        var isStopped = false
        var lastWaiter: UInt64 = 0
        var waiters: [UInt64: CheckedContinuation<Void, Never>] = [:]
    }

    // Unchecked: dispatch sources may be used from any thread.
    private struct Sources: @unchecked Sendable { var all: [any DispatchSourceSignal] = [] }

    private let state = Mutex(State())
    private let sources = Mutex(Sources())

    init() {
        let made = [SIGTERM, SIGINT, SIGHUP].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { [weak self] in self?.stop() }
            source.resume()
            return source
        }
        sources.withLock { $0.all = made }
    }

    private func stop() {
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

    /// What `body` returns, or nil where a signal came first; `body` is cancelled then.
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
