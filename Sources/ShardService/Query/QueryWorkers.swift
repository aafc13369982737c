import Dispatch
import FunnelProtocol
import NIOPosix
import ServiceRuntime
import Synchronization

/// How the scans of a query are scheduled.
package struct QueryJob: Sendable {
    package var project: UInt32
    /// Estimated to take a thread for 100 ms or longer.
    package var isHeavy: Bool
    /// Runs to its end, without asking whether it is cancelled or should give way.
    package var isUnpaused: Bool

    package init(project: UInt32, isHeavy: Bool, isUnpaused: Bool = false) {
        self.project = project
        self.isHeavy = isHeavy
        self.isUnpaused = isUnpaused
    }

    /// The same job, unpaused.
    var unpaused: QueryJob {
        var job = self
        job.isUnpaused = true
        return job
    }
}

/// Threads for scans, with a bounded queue in front. A scan that has begun keeps its thread, but a limited number runs at a time
/// (`ProjectTurns`); the others are paused where they last asked whether they are cancelled.
package final class QueryWorkers: Sendable {
    /// The scan that a thread runs.
    private final class Turn: Sendable {
        let ticket: UInt64
        init(_ ticket: UInt64) { self.ticket = ticket }
    }

    private struct State {
        var turns: ProjectTurns
        var nextTicket: UInt64 = 0
        /// Admitted queries by project.
        var admitted: [UInt32: Int] = [:]
        /// By ticket of a scan that has not begun, a closure that fails it.
        var refusals: [UInt64: @Sendable () -> Void] = [:]
        /// Threads of `usual` in use.
        var usualTaken = 0
        var isClosed = false
    }

    /// As many threads as scans run at a time. They do nearly all the work: a few threads keep less freed memory than many.
    private let usual: NIOThreadPool
    /// For scans that begin while others are paused.
    private let more: NIOThreadPool
    private let state: Mutex<State>
    /// Scans in the queue; read without the lock.
    private let waiting = Atomic<Int>(0)
    private let closed = Atomic<Bool>(false)
    private let current = ThreadSpecificVariable<Turn>()
    private let threads: Int
    private let admittedMax: Int
    private let admittedOfProject: Int
    private let now: @Sendable () -> ContinuousClock.Instant

    /// `threads` is the max of scans that run at a time, `queued` the max of queries that wait, half of it for one project.
    package init(threads: Int, queued: Int, now: @escaping @Sendable () -> ContinuousClock.Instant = { .now }) {
        self.threads = threads
        self.now = now
        admittedMax = threads + queued
        admittedOfProject = threads + queued / 2
        // Paused scans of several projects may hold a thread each.
        let begun = max(32, threads * 8)
        usual = NIOThreadPool(numberOfThreads: threads)
        more = NIOThreadPool(numberOfThreads: begun - threads)
        state = Mutex(State(turns: ProjectTurns(places: threads, begunMax: begun)))
        usual.start()
        more.start()
    }

    package var running: Int { state.withLock { $0.admitted.values.reduce(0, +) } }

    /// Cancels all scans and waits until their threads have ended.
    package func shutdown() async {
        closed.store(true, ordering: .releasing)
        let refusals = state.withLock { state in
            state.isClosed = true
            defer { state.refusals = [:] }
            return Array(state.refusals.values)
        }
        for refuse in refusals { refuse() }
        try? await usual.shutdownGracefully()
        try? await more.shutdownGracefully()
    }

    /// Admits a query and runs `body`, which runs its scans. Throws `.overloaded` if there are too many queries.
    package func admitting<T>(_ project: UInt32, _ body: () async throws -> T) async throws -> T {
        try admit(project)
        defer { state.withLock { leave(project, &$0) } }
        return try await body()
    }

    /// Runs `work` on scan threads, one for every four parts, at most `threads`. Each call of `work` takes parts until none is
    /// left. It must poll what `polling` returns, unless the job is unpaused.
    /// - Parameter parts: number of parts.
    /// - Throws: what `work` throws, and `ProtocolError` `.cancelled`.
    package func run<T: Sendable>(_ job: QueryJob, parts: Int, _ work: @escaping @Sendable () throws -> T) async throws -> [T] {
        // Fewer than eight parts are not worth a second thread.
        let count = max(1, min(threads, parts / 4))
        if count == 1 { return [try await one(job, work)] }
        return try await withThrowingTaskGroup(of: T.self) { group in
            for _ in 0..<count { group.addTask { try await self.one(job, work) } }
            var results: [T] = []
            for try await result in group { results.append(result) }
            return results
        }
    }

    /// Runs `work` on one scan thread.
    package func run<T: Sendable>(_ job: QueryJob, _ work: @escaping @Sendable () throws -> T) async throws -> T {
        try await run(job, parts: 1, work)[0]
    }

    /// Makes the function that a scan calls now and then: it returns true if the scan should end. If it is the turn of others, it
    /// blocks until the scan's own turn.
    package func polling(_ isCancelled: @escaping @Sendable () -> Bool) -> @Sendable () -> Bool {
        { [self] in
            if isCancelled() || closed.load(ordering: .acquiring) { return true }
            guard waiting.load(ordering: .relaxed) > 0, let turn = current.currentValue else { return false }
            return giveWay(turn.ticket, isCancelled)
        }
    }

    // MARK: Queries

    private func admit(_ project: UInt32) throws(ProtocolError) {
        let (all, own) = state.withLock { state in
            let (all, own) = (state.admitted.values.reduce(0, +), state.admitted[project] ?? 0)
            if all < admittedMax, own < admittedOfProject { state.admitted[project] = own + 1 }
            return (all, own)
        }
        guard all < admittedMax else { throw ProtocolError(.overloaded, "\(admittedMax) queries are running or queued on this shard") }
        guard own < admittedOfProject else {
            throw ProtocolError(.overloaded, "\(admittedOfProject) queries of the project are running or queued on this shard")
        }
    }

    private func leave(_ project: UInt32, _ state: inout State) {
        let left = (state.admitted[project] ?? 1) - 1
        state.admitted[project] = left > 0 ? left : nil
    }

    // MARK: Scans

    private func one<T: Sendable>(_ job: QueryJob, _ work: @escaping @Sendable () throws -> T) async throws -> T {
        let ticket = state.withLock { state in
            state.nextTicket += 1
            return state.nextTicket
        }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                begin(ticket, job, refuse: { continuation.resume(throwing: ProtocolError(.cancelled, "the caller gave up")) }) {
                    continuation.resume(with: Result { try work() })
                }
            }
        } onCancel: {
            refuse(ticket)
        }
    }

    /// Calls either `refuse` or, on a scan thread, `body`.
    private func begin(
        _ ticket: UInt64, _ job: QueryJob, refuse: @escaping @Sendable () -> Void, _ body: @escaping @Sendable () -> Void
    ) {
        let start: @Sendable () -> Void = { [self] in
            let isUsual = state.withLock { state in
                if state.usualTaken == threads { return false }
                state.usualTaken += 1
                return true
            }
            (isUsual ? usual : more).submit { [self] found in
                state.withLock { _ = $0.refusals.removeValue(forKey: ticket) }
                if found == .active {
                    current.currentValue = Turn(ticket)
                    body()
                    current.currentValue = nil
                } else {
                    refuse()
                }
                if isUsual { state.withLock { $0.usualTaken -= 1 } }
                change { $0.leave(ticket, now()) }
            }
        }
        let isRefused = state.withLock { state in
            if state.isClosed || Task.isCancelled { return true }
            state.refusals[ticket] = { [self] in
                // It may have begun meanwhile.
                if withdraw(ticket) { refuse() }
            }
            return false
        }
        if isRefused { return refuse() }
        let scan = ProjectTurns.Work(
            ticket: ticket, project: job.project, isHeavy: job.isHeavy, isUnpaused: job.isUnpaused, since: now(), wake: start)
        change { $0.enter(scan) }
        // A caller who left before the scan was in the queue could not withdraw it.
        guard Task.isCancelled, withdraw(ticket) else { return }
        state.withLock { _ = $0.refusals.removeValue(forKey: ticket) }
        refuse()
    }

    private func refuse(_ ticket: UInt64) {
        let refusal = state.withLock { $0.refusals.removeValue(forKey: ticket) }
        refusal?()
    }

    /// Removes a scan from the queue; false if it is not in it.
    private func withdraw(_ ticket: UInt64) -> Bool {
        state.withLock { state in
            let isWaiting = state.turns.withdraw(ticket) != nil
            waiting.store(state.turns.waiting.count, ordering: .relaxed)
            return isWaiting
        }
    }

    private func change(_ body: (inout ProjectTurns) -> [ProjectTurns.Work]) {
        let woken = state.withLock { state in
            defer { waiting.store(state.turns.waiting.count, ordering: .relaxed) }
            return body(&state.turns)
        }
        for scan in woken { scan.wake() }
    }

    /// Waits, if it is the turn of others. Returns whether the scan was cancelled meanwhile.
    private func giveWay(_ ticket: UInt64, _ isCancelled: () -> Bool) -> Bool {
        guard state.withLock({ $0.turns.shouldGiveWay(ticket, now()) }) else { return false }
        let turn = DispatchSemaphore(value: 0)
        change { $0.giveWay(ticket, now()) { turn.signal() } }
        while turn.wait(timeout: .now() + .milliseconds(50)) == .timedOut {
            // A scan that ends needs no turn.
            if isCancelled() || closed.load(ordering: .acquiring), withdraw(ticket) { return true }
        }
        return isCancelled()
    }
}
