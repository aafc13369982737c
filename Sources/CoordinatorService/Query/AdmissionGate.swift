import FunnelProtocol
import Synchronization

/// So many queries at a time, so many in line, the rest refused by name.
final class AdmissionGate: Sendable {
    private struct State {
        var running = 0
        var nextTicket: UInt64 = 0
        var line: [(ticket: UInt64, wake: CheckedContinuation<Bool, Never>)] = []
    }

    private let state = Mutex(State())
    private let runningMax: Int
    private let queuedMax: Int

    init(running: Int, queued: Int) {
        runningMax = running
        queuedMax = queued
    }

    var load: (running: Int, queued: Int) { state.withLock { ($0.running, $0.line.count) } }

    /// - Parameter deadline: waiting in line ends then.
    func run<T>(until deadline: ContinuousClock.Instant, _ body: () async throws -> T) async throws -> T {
        try await enter(until: deadline)
        defer { leave() }
        return try await body()
    }

    private func enter(until deadline: ContinuousClock.Instant) async throws {
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
                let now: Bool? = state.withLock { state in
                    if Task.isCancelled { return false }
                    if state.running < runningMax {
                        state.running += 1
                        return true
                    }
                    guard state.line.count < queuedMax else { return false }
                    state.line.append((ticket, wake))
                    return nil
                }
                if let now { wake.resume(returning: now) }
            }
        } onCancel: {
            leaveLine(ticket)
        }
        guard admitted else {
            if ContinuousClock.now >= deadline { throw ProtocolError(.deadlineExceeded, "the deadline passed while the query was in line") }
            if Task.isCancelled { throw ProtocolError(.cancelled, "cancelled while in line") }
            throw ProtocolError(.overloaded, "\(runningMax) queries are running and \(queuedMax) are in line")
        }
    }

    private func leaveLine(_ ticket: UInt64) {
        let waiting = state.withLock { state -> CheckedContinuation<Bool, Never>? in
            guard let place = state.line.firstIndex(where: { $0.ticket == ticket }) else { return nil }
            return state.line.remove(at: place).wake
        }
        waiting?.resume(returning: false)
    }

    private func leave() {
        let next = state.withLock { state -> CheckedContinuation<Bool, Never>? in
            if state.line.isEmpty {
                state.running -= 1
                return nil
            }
            // The place goes over to the next in line.
            return state.line.removeFirst().wake
        }
        next?.resume(returning: true)
    }
}
