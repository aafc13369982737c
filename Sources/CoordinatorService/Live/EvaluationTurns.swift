import Synchronization

/// Some evaluations at a time, one of a project, which so take turns: who has had one goes to the end of the line.
final class EvaluationTurns: Sendable {
    private struct State {
        var running = 0
        var line: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())
    private let runningMax: Int

    init(running: Int) { runningMax = running }

    /// - Parameter body: of one project at a time.
    func run(_ body: () async -> Void) async {
        await enter()
        await body()
        leave()
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
