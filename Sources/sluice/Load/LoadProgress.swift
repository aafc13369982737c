import FunnelModel
import Synchronization

/// Whether batches are being stored: since when none was, and what those in flight wait for.
final class LoadProgress: Sendable {
    /// A load ends once nothing was stored for this long; `sluice up` waits as long for its services.
    static let patience = Duration.seconds(120)
    private static let firstNote = Duration.seconds(10)
    private static let nextNotes = Duration.seconds(30)

    private struct State {
        /// Batches that were sent and are not stored yet.
        var waiting = 0
        /// When the last batch was stored, or the first of those that wait was sent.
        var since = ContinuousClock.now
        var noted: ContinuousClock.Instant?
        /// Of the last failure since then.
        var reason: String?
        var isReached = false
        var isStored = false
        /// Batches that wait since their sender exceeds a rate, by number.
        var refused: Set<UInt64> = []
        /// Until then ingest refuses batches of this sender; waiting for it is not a lack of progress.
        var refusedUntil = ContinuousClock.now
        var isRetryNoted = false
    }

    private let address: String
    private let state = Mutex(State())

    init(address: String) { self.address = address }

    /// Whether ingest has ever answered.
    var isReached: Bool { state.withLock { $0.isReached } }

    /// How long nothing was stored, without the time that ingest asked this sender to wait.
    var idle: Duration { state.withLock { ContinuousClock.now - max($0.since, $0.refusedUntil) } }

    func begin() {
        state.withLock { state in
            if state.waiting == 0 { (state.since, state.noted, state.reason) = (.now, nil, nil) }
            state.waiting += 1
        }
    }

    func end(_ sequence: UInt64) {
        state.withLock { state in
            state.waiting -= 1
            _ = state.refused.remove(sequence)
        }
    }

    func reach() { state.withLock { $0.isReached = true } }

    func store() { state.withLock { ($0.since, $0.noted, $0.reason, $0.isStored) = (.now, nil, nil, true) } }

    /// A refused batch is sent again.
    func retry(_ sequence: UInt64) { state.withLock { _ = $0.refused.remove(sequence) } }

    /// What a load has stored so far.
    enum Stored { case nothingStored, partStored, unknown }

    /// Notes that a rate has refused a batch.
    /// - Returns: `unknown` if nothing was stored yet and another batch is on its way.
    func refuse(_ sequence: UInt64, for wait: Duration, _ reason: String, attempt: Int) -> Stored {
        fail(reason, attempt: attempt)
        return state.withLock { state in
            state.isReached = true
            state.refused.insert(sequence)
            state.refusedUntil = max(state.refusedUntil, .now + wait)
            if state.isStored { return .partStored }
            return state.refused.count == state.waiting ? .nothingStored : .unknown
        }
    }

    /// - Parameter attempt: of the batch, from 0.
    func fail(_ reason: String, attempt: Int) {
        let isDue = state.withLock { state in
            state.reason = reason
            guard attempt == 2, !state.isRetryNoted else { return false }
            state.isRetryNoted = true
            return true
        }
        if isDue { Terminal.note("\(address): \(reason.printable); trying again") }
    }

    /// Until cancelled: writes on standard error what the load waits for, after 10 s without progress and every 30 s from then on.
    func watch() async {
        while (try? await Task.sleep(for: .seconds(1))) != nil {
            let note = state.withLock { state -> String? in
                let now = ContinuousClock.now
                let isDue = state.noted.map { now - $0 >= Self.nextNotes } ?? (now - state.since >= Self.firstNote)
                guard state.waiting > 0, isDue else { return nil }
                state.noted = now
                let seconds = (now - state.since).components.seconds
                return "nothing was stored for \(seconds) s: \(state.reason ?? "no answer from ingest")"
            }
            guard let note else { continue }
            Terminal.note(
                "\(address): \(note.printable); still trying. Ctrl-C is safe: what is stored stays, and the same command loads the rest")
        }
    }
}
