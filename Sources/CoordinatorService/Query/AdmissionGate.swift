import FunnelProtocol
import Synchronization

/// Limits how many queries run at a time and how many wait; more are refused. Projects take turns:
///
/// - A project has at most half of the places while another one waits, and never the last one.
/// - It has at most half of the places in the line.
/// - Heavy queries never take the last place, and light ones go first; one that has waited for `patience` counts as light.
///
/// A refusal is sent after `refusalDelay`: a caller who asks again at once would otherwise take the processor from the queries
/// that run. At most `delayedMax` refusals wait at a time, more are sent at once.
package final class AdmissionGate: Sendable {
    private struct Waiting {
        let ticket: UInt64
        let project: UInt32
        let isHeavy: Bool
        let since: ContinuousClock.Instant
        let wake: CheckedContinuation<Bool, Never>
    }

    private struct State {
        /// By project.
        var running: [UInt32: Int] = [:]
        var runningHeavy = 0
        var nextTicket: UInt64 = 0
        var line: [Waiting] = []
        /// By project that is there, when it was served last.
        var served: [UInt32: UInt64] = [:]
        var turns: UInt64 = 0
        var delayed = 0

        var runningAll: Int { running.values.reduce(0, +) }
    }

    private static let patience = Duration.seconds(5)
    private static let delayedMax = 1_024

    private let state = Mutex(State())
    private let runningMax: Int
    private let queuedMax: Int
    private let refusalDelay: Duration
    private let now: @Sendable () -> ContinuousClock.Instant

    package init(
        running: Int, queued: Int, refusalDelay: Duration = .seconds(1),
        now: @escaping @Sendable () -> ContinuousClock.Instant = { .now }
    ) {
        runningMax = running
        queuedMax = queued
        self.refusalDelay = refusalDelay
        self.now = now
    }

    package var load: (running: Int, queued: Int) { state.withLock { ($0.runningAll, $0.line.count) } }

    /// - Parameters:
    ///   - isHeavy: whether an estimate says that the query takes long.
    ///   - deadline: when waiting ends.
    package func run<T>(
        _ project: UInt32, isHeavy: Bool, until deadline: ContinuousClock.Instant, _ body: () async throws -> T
    ) async throws -> T {
        try await enter(project, isHeavy, until: deadline)
        defer { leave(project, isHeavy) }
        return try await body()
    }

    private func enter(_ project: UInt32, _ isHeavy: Bool, until deadline: ContinuousClock.Instant) async throws {
        let ticket = state.withLock { state -> UInt64 in
            state.nextTicket += 1
            return state.nextTicket
        }
        let timer = Task {
            try await Task.sleep(until: deadline, clock: .continuous)
            self.leaveLine(ticket)
        }
        defer { timer.cancel() }
        let admitted = await withTaskCancellationHandler {
            await withCheckedContinuation { wake in
                let (isRefused, woken) = state.withLock { state -> (Bool, [Waiting]) in
                    // The timer may have fired before the query is in line.
                    if Task.isCancelled || now() >= deadline { return (true, []) }
                    state.line.append(Waiting(ticket: ticket, project: project, isHeavy: isHeavy, since: now(), wake: wake))
                    let woken = fill(&state)
                    let own = state.line.count { $0.project == project }
                    guard state.line.last?.ticket == ticket, state.line.count > queuedMax || own > max(1, queuedMax / 2) else {
                        return (false, woken)
                    }
                    state.line.removeLast()
                    return (true, woken)
                }
                for waiting in woken { waiting.wake.resume(returning: true) }
                if isRefused { wake.resume(returning: false) }
            }
        } onCancel: {
            leaveLine(ticket)
        }
        guard admitted else {
            if now() >= deadline {
                throw ProtocolError(.deadlineExceeded, "the deadline passed while the query waited for its turn")
            }
            if Task.isCancelled { throw ProtocolError(.cancelled, "cancelled while waiting for its turn") }
            await delayRefusal(until: deadline)
            throw ProtocolError(
                .overloaded,
                "too many queries: \(runningMax) run at a time and \(queuedMax) wait, at most half of them of one project; ask again later")
        }
    }

    private func delayRefusal(until deadline: ContinuousClock.Instant) async {
        let isDelayed = state.withLock { state in
            guard state.delayed < Self.delayedMax else { return false }
            state.delayed += 1
            return true
        }
        guard isDelayed else { return }
        // Ends early where the caller leaves.
        try? await Task.sleep(until: min(deadline, .now + refusalDelay), clock: .continuous)
        state.withLock { $0.delayed -= 1 }
    }

    private func leaveLine(_ ticket: UInt64) {
        let waiting = state.withLock { state -> Waiting? in
            guard let place = state.line.firstIndex(where: { $0.ticket == ticket }) else { return nil }
            return state.line.remove(at: place)
        }
        waiting?.wake.resume(returning: false)
    }

    private func leave(_ project: UInt32, _ isHeavy: Bool) {
        let woken = state.withLock { state in
            let left = (state.running[project] ?? 1) - 1
            state.running[project] = left > 0 ? left : nil
            if isHeavy { state.runningHeavy -= 1 }
            return fill(&state)
        }
        for waiting in woken { waiting.wake.resume(returning: true) }
    }

    // MARK: Whose turn it is

    /// Gives free places to waiting queries.
    private func fill(_ state: inout State) -> [Waiting] {
        var woken: [Waiting] = []
        while state.runningAll < runningMax, let i = next(state) {
            let waiting = state.line.remove(at: i)
            state.running[waiting.project, default: 0] += 1
            if waiting.isHeavy { state.runningHeavy += 1 }
            state.turns += 1
            state.served[waiting.project] = state.turns
            woken.append(waiting)
        }
        if state.line.isEmpty, state.running.isEmpty { state.served = [:] }
        return woken
    }

    private func next(_ state: State) -> Int? {
        let now = now()
        func mayRun(_ waiting: Waiting) -> Bool {
            if waiting.isHeavy, state.runningHeavy >= max(1, runningMax - 1) { return false }
            let isAlone = !state.line.contains { $0.project != waiting.project }
            return state.running[waiting.project] ?? 0 < max(1, isAlone ? runningMax - 1 : runningMax / 2)
        }
        func order(_ i: Int) -> (Int, UInt64, Int) {
            let waiting = state.line[i]
            let isLight = !waiting.isHeavy || now - waiting.since >= Self.patience
            return (isLight ? 0 : 1, state.served[waiting.project] ?? 0, i)
        }
        return state.line.indices.filter { mayRun(state.line[$0]) }.min { order($0) < order($1) }
    }
}
