import Synchronization
import Testing

/// Time that passes only when a test says so.
final class ManualTime: Sendable {
    private struct Sleeper {
        let end: ContinuousClock.Instant
        let wake: CheckedContinuation<Void, Never>
    }

    private struct State {
        var now = ContinuousClock.now
        var last: UInt64 = 0
        var sleepers: [UInt64: Sleeper] = [:]
    }

    private let state = Mutex(State())

    var now: ContinuousClock.Instant { state.withLock { $0.now } }
    /// Tasks that sleep now.
    var sleepers: Int { state.withLock { $0.sleepers.count } }

    func sleep(_ duration: Duration) async { await sleep(until: now + duration) }

    /// Returns early where the task is cancelled.
    func sleep(until end: ContinuousClock.Instant) async {
        let number = state.withLock { state in
            state.last += 1
            return state.last
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { wake in
                let isOver = state.withLock { state in
                    if Task.isCancelled || end <= state.now { return true }
                    state.sleepers[number] = Sleeper(end: end, wake: wake)
                    return false
                }
                if isOver { wake.resume() }
            }
        } onCancel: {
            state.withLock { $0.sleepers.removeValue(forKey: number) }?.wake.resume()
        }
    }

    /// Moves the time on and wakes the tasks whose sleep is over.
    func pass(_ duration: Duration) {
        let woken = state.withLock { state in
            state.now += duration
            let over = state.sleepers.filter { $0.value.end <= state.now }
            for number in over.keys { state.sleepers[number] = nil }
            return over.values.map(\.wake)
        }
        for wake in woken { wake.resume() }
    }

    /// Waits until this many tasks sleep, so that all work that the last step of time started is done.
    func settle(_ sleepers: Int, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        try await eventually("\(sleepers) tasks sleep, not \(self.sleepers)", sourceLocation: sourceLocation) { self.sleepers == sleepers }
    }
}

/// Waits until the condition holds, and fails after half a minute.
func eventually(
    _ what: @autoclosure () -> String = "", sourceLocation: SourceLocation = #_sourceLocation, _ condition: () async throws -> Bool
) async throws {
    for _ in 0..<6_000 {
        if try await condition() { return }
        try await Task.sleep(for: .milliseconds(5))
    }
    let holds = try await condition()
    try #require(holds, "\(what())", sourceLocation: sourceLocation)
}
