import FunnelProtocol
import NIOPosix
import Synchronization

/// How the scans of a query are scheduled.
package struct QueryJob: Sendable {
    package var project: UInt32
    /// Estimated to take a thread for 100 ms or longer, or never asks whether to give way.
    package var isHeavy: Bool

    package init(project: UInt32, isHeavy: Bool) {
        self.project = project
        self.isHeavy = isHeavy
    }
}

/// Runs the scans of queries, and limits how many queries there are.
package final class QueryWorkers: Sendable {
    /// The scan that a thread runs.
    private final class Turn: Sendable {
        let ticket: UInt64
        let threads: ScanThreads
        init(_ ticket: UInt64, _ threads: ScanThreads) {
            self.ticket = ticket
            self.threads = threads
        }
    }

    private struct State {
        var nextTicket: UInt64 = 0
        /// Admitted queries by project.
        var admitted: [UInt32: Int] = [:]
        /// By ticket of a scan that has not begun, a closure that fails it.
        var refusals: [UInt64: @Sendable () -> Void] = [:]
        var isClosed = false
    }

    private let light: ScanThreads
    /// At a lower priority: these scans delay light ones and appends of this machine little, and no light scan waits until one of
    /// them pauses.
    private let heavy: ScanThreads
    private let state = Mutex(State())
    private let closed = Atomic<Bool>(false)
    private let current = ThreadSpecificVariable<Turn>()
    private let threads: Int
    private let admittedMax: Int
    private let admittedOfProject: Int

    /// - Parameters:
    ///   - threads: max number of light scans that run at a time, and of heavy ones.
    ///   - queued: max number of queries that wait, half of it for one project.
    package init(threads: Int, queued: Int, now: @escaping @Sendable () -> ContinuousClock.Instant = { .now }) {
        self.threads = threads
        admittedMax = threads + queued
        admittedOfProject = threads + queued / 2
        light = ScanThreads(threads, isBackground: false, now: now)
        heavy = ScanThreads(threads, isBackground: true, now: now)
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
        await light.shutdown()
        await heavy.shutdown()
    }

    /// Admits a query and runs `body`, which runs its scans. Throws `.overloaded` if there are too many queries.
    package func admitting<T>(_ project: UInt32, _ body: () async throws -> T) async throws -> T {
        try admit(project)
        defer { state.withLock { leave(project, &$0) } }
        return try await body()
    }

    /// Runs `work` on scan threads, one for every four parts, at most `threads`. Each call of `work` takes parts until none is
    /// left. A light one must poll what `polling` returns.
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
            guard let turn = current.currentValue else { return false }
            return turn.threads.giveWay(turn.ticket) { isCancelled() || closed.load(ordering: .acquiring) }
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
        let threads = job.isHeavy ? heavy : light
        let isRefused = state.withLock { state in
            if state.isClosed || Task.isCancelled { return true }
            state.refusals[ticket] = {
                // It may have begun meanwhile.
                if threads.withdraw(ticket) { refuse() }
            }
            return false
        }
        if isRefused { return refuse() }
        threads.enter(ticket, job.project) { [self] isActive in
            state.withLock { _ = $0.refusals.removeValue(forKey: ticket) }
            guard isActive else { return refuse() }
            current.currentValue = Turn(ticket, threads)
            body()
            current.currentValue = nil
        }
        // A caller who left before the scan was in the queue could not withdraw it.
        guard Task.isCancelled, threads.withdraw(ticket) else { return }
        state.withLock { _ = $0.refusals.removeValue(forKey: ticket) }
        refuse()
    }

    private func refuse(_ ticket: UInt64) {
        let refusal = state.withLock { $0.refusals.removeValue(forKey: ticket) }
        refusal?()
    }
}
