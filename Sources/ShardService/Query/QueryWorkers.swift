import Dispatch
import FunnelProtocol
import NIOPosix
import ServiceRuntime
import Synchronization

/// What a query is to the threads that scan for it.
struct QueryJob: Sendable {
    var project: UInt32
    /// By an estimate: takes a thread for a tenth of a second or longer.
    var isHeavy: Bool
    /// Runs to its end, without asking whether it is cancelled or should give way.
    var isUnpaused = false

    /// The part of it that does.
    var unpaused: QueryJob {
        var job = self
        job.isUnpaused = true
        return job
    }
}

/// Threads for scans, off the event loops, with a bounded queue in front. A scan that has begun keeps a thread, but only so
/// many of them run at a time (`ProjectTurns`); the others stand still where they last asked whether they are cancelled.
final class QueryWorkers: Sendable {
    /// What a thread does.
    private final class Turn: Sendable {
        let ticket: UInt64
        init(_ ticket: UInt64) { self.ticket = ticket }
    }

    private struct State {
        var turns: ProjectTurns
        var nextTicket: UInt64 = 0
        /// Queries by project.
        var admitted: [UInt32: Int] = [:]
        /// How to tell a scan that it will not begin, by ticket.
        var refusals: [UInt64: @Sendable () -> Void] = [:]
        /// Threads of `usual` that are taken.
        var usualTaken = 0
        var isClosed = false
    }

    /// As many as run at a time. The same few threads do nearly all the work, and so keep less freed memory than many would.
    private let usual: NIOThreadPool
    /// For scans that begin while others stand still.
    private let more: NIOThreadPool
    private let state: Mutex<State>
    /// Scans in line: looked at without the lock.
    private let waiting = Atomic<Int>(0)
    private let closed = Atomic<Bool>(false)
    private let current = ThreadSpecificVariable<Turn>()
    private let threads: Int
    private let admittedMax: Int
    private let admittedOfProject: Int

    /// - Parameters:
    ///   - threads: scans that run at a time.
    ///   - queued: queries that wait; a project may have half of them.
    init(threads: Int, queued: Int) {
        self.threads = threads
        admittedMax = threads + queued
        admittedOfProject = threads + queued / 2
        // Scans of several projects may stand still at a time, and so hold a thread.
        let begun = max(32, threads * 8)
        usual = NIOThreadPool(numberOfThreads: threads)
        more = NIOThreadPool(numberOfThreads: begun - threads)
        state = Mutex(State(turns: ProjectTurns(places: threads, begunMax: begun)))
        usual.start()
        more.start()
    }

    var running: Int { state.withLock { $0.admitted.values.reduce(0, +) } }

    func shutdown() async {
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

    /// Takes a query in, or refuses it where there are too many; `body` runs its scans.
    func admitting<T>(_ project: UInt32, _ body: () async throws -> T) async throws -> T {
        try admit(project)
        defer { state.withLock { leave(project, &$0) } }
        return try await body()
    }

    /// Runs `work`, which takes what is left to do until nothing is, on as many scan threads as have something to do.
    /// It must poll what `polling` returns, unless the job says that it does not.
    /// - Parameter parts: pieces of work there are.
    /// - Throws: what `work` throws, and `ProtocolError` `.cancelled`.
    func run<T: Sendable>(_ job: QueryJob, parts: Int, _ work: @escaping @Sendable () throws -> T) async throws -> [T] {
        // A part by itself is not worth a second thread.
        let count = max(1, min(threads, parts / 4))
        if count == 1 { return [try await one(job, work)] }
        return try await withThrowingTaskGroup(of: T.self) { group in
            for _ in 0..<count { group.addTask { try await self.one(job, work) } }
            var results: [T] = []
            for try await result in group { results.append(result) }
            return results
        }
    }

    /// The same on one thread.
    func run<T: Sendable>(_ job: QueryJob, _ work: @escaping @Sendable () throws -> T) async throws -> T {
        try await run(job, parts: 1, work)[0]
    }

    /// Whether nobody waits for a scan any more. Where it is others' turn, the scan that asks waits for its own.
    func polling(_ isCancelled: @escaping @Sendable () -> Bool) -> @Sendable () -> Bool {
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

    /// Calls either `refuse` or, on a thread, `body`.
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
                guard found == .active else { return refuse() }
                current.currentValue = Turn(ticket)
                body()
                current.currentValue = nil
                if isUsual { state.withLock { $0.usualTaken -= 1 } }
                change { $0.leave(ticket, .now) }
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
            ticket: ticket, project: job.project, isHeavy: job.isHeavy, isUnpaused: job.isUnpaused, since: .now, wake: start)
        change { $0.enter(scan) }
    }

    private func refuse(_ ticket: UInt64) {
        let refusal = state.withLock { $0.refusals.removeValue(forKey: ticket) }
        refusal?()
    }

    /// Takes a scan out of the line; false where it is not in it.
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

    /// - Returns: whether the scan was cancelled meanwhile.
    private func giveWay(_ ticket: UInt64, _ isCancelled: () -> Bool) -> Bool {
        guard state.withLock({ $0.turns.shouldGiveWay(ticket, .now) }) else { return false }
        let turn = DispatchSemaphore(value: 0)
        change { $0.giveWay(ticket, .now) { turn.signal() } }
        while turn.wait(timeout: .now() + .milliseconds(50)) == .timedOut {
            // A scan that ends needs no turn.
            if isCancelled() || closed.load(ordering: .acquiring), withdraw(ticket) { return true }
        }
        return isCancelled()
    }
}
