import Synchronization

/// The version of a list that services fetch by long polls, and who waits for another one.
final class ListPolls: Sendable {
    private struct State {
        /// Drawn anew at every change. Lists have no order, so a service can have none that is newer than this.
        var version = ListPolls.draw()
        /// Services that wait for another version, and those that have come back with this one.
        var waiting = 0
        var confirmed = 0
    }

    private let state = Mutex(State())
    private let ending = Atomic<Bool>(false)

    private static let patienceMax = Duration.seconds(25)
    /// How often a waiting call looks. Changes come from people only, so this is cheap; and none is missed.
    private static let look = Duration.milliseconds(100)
    /// How long a change waits for the services that are connected to take it.
    private static let spreadMax = Duration.seconds(1)

    /// 0 means none, and 1 is what a service may have written itself.
    private static func draw() -> UInt64 { UInt64.random(in: 2 ... .max) }

    /// Draws another version, after the list has changed.
    /// - Returns: number of services that were waiting for it.
    func change() -> Int {
        state.withLock { state in
            state.version = Self.draw()
            state.confirmed = 0
            return state.waiting
        }
    }

    /// Waits until as many services have taken the list, so that a caller can rely on its change at once. Another change may come in
    /// between; then this waits in vain, for `spreadMax`.
    func awaitServices(_ count: Int) async {
        let end = ContinuousClock.now + Self.spreadMax
        while state.withLock({ $0.confirmed }) < count, ContinuousClock.now < end, !Task.isCancelled {
            try? await Task.sleep(for: .milliseconds(10))
        }
    }

    /// Waits for another version than the one that the caller knows, or until the wait is over.
    /// - Returns: the version. A list that is read after this is of this version, or of a later one.
    func wait(known: UInt64, milliseconds: UInt32) async -> UInt64 {
        let end = ContinuousClock.now + min(.milliseconds(Int(milliseconds)), Self.patienceMax)
        state.withLock { state in
            state.waiting += 1
            if state.version == known { state.confirmed += 1 }
        }
        defer { state.withLock { $0.waiting -= 1 } }
        while true {
            let version = state.withLock { $0.version }
            let left = end - ContinuousClock.now
            if version != known || left <= .zero || Task.isCancelled || ending.load(ordering: .relaxed) { return version }
            try? await Task.sleep(for: min(left, Self.look))
        }
    }

    /// Ends all waits.
    func endWaiting() { ending.store(true, ordering: .relaxed) }
}
