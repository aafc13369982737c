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
        var isRetryNoted = false
    }

    private let address: String
    private let state = Mutex(State())

    init(address: String) { self.address = address }

    /// Whether ingest has ever answered.
    var isReached: Bool { state.withLock { $0.isReached } }

    /// How long nothing was stored.
    var idle: Duration { state.withLock { ContinuousClock.now - $0.since } }

    func begin() {
        state.withLock { state in
            if state.waiting == 0 { (state.since, state.noted, state.reason) = (.now, nil, nil) }
            state.waiting += 1
        }
    }

    func end() { state.withLock { $0.waiting -= 1 } }

    func reach() { state.withLock { $0.isReached = true } }

    func store() { state.withLock { ($0.since, $0.noted, $0.reason) = (.now, nil, nil) } }

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
