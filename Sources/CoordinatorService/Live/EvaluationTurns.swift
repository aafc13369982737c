import Synchronization

/// Runs a limited number of evaluations, or changes, at a time, in order of arrival. If callers run one evaluation per project at a time,
/// projects take turns.
final class EvaluationTurns: Sendable {
    private struct State {
        var running = 0
        var line: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())
    private let runningMax: Int

    init(running: Int) { runningMax = running }

    /// Runs `body` when its turn comes.
    func run<T>(_ body: () async throws -> T) async rethrows -> T {
        await enter()
        defer { leave() }
        return try await body()
    }

    private func enter() async {
        await withCheckedContinuation { next in
            let mayRun = state.withLock { state in
                if state.running == runningMax {
                    state.line.append(next)
                    return false
                }
                state.running += 1
                return true
            }
            if mayRun { next.resume() }
        }
    }

    private func leave() {
        let next = state.withLock { state -> CheckedContinuation<Void, Never>? in
            if state.line.isEmpty {
                state.running -= 1
                return nil
            }
            return state.line.removeFirst()
        }
        next?.resume()
    }
}
