import FunnelProtocol
import Glibc
import ShardService
import Testing

/// A shard's scan threads: limits, order of turns, and scans that fail or are cancelled.
@Suite(.timeLimit(.minutes(2)))
struct QueryWorkersTests {
    private struct Failure: Error {}

    private static let job = QueryJob(project: 1, isHeavy: false)

    /// Runs `body`, and ends the threads, also after an error.
    private func with(
        threads: Int, queued: Int = 8, time: ManualTime = ManualTime(), _ body: (QueryWorkers) async throws -> Void
    ) async throws {
        let workers = QueryWorkers(threads: threads, queued: queued) { time.now }
        do { try await body(workers) } catch {
            await workers.shutdown()
            throw error
        }
        await workers.shutdown()
    }

    /// Starts a scan that waits at a latch.
    private static func scan(_ workers: QueryWorkers, _ latch: Latch, project: UInt32 = 1, isHeavy: Bool = false) -> Task<Int, any Error> {
        Task {
            try await workers.run(QueryJob(project: project, isHeavy: isHeavy)) {
                latch.pass()
                return 1
            }
        }
    }

    private static func code<T>(_ task: Task<T, any Error>) async -> ProtocolError.Code? {
        guard case .failure(let error) = await task.result else { return nil }
        return (error as? ProtocolError)?.code
    }

    // MARK: Work

    @Test(arguments: [(1, 1), (3, 1), (4, 1), (8, 2), (11, 2), (400, 4)])
    func aScanHasAsManyThreadsAsItHasWorkFor(parts: Int, threads: Int) async throws {
        try await with(threads: 4) { workers in
            let runs = Shared(0)
            let results = try await workers.run(Self.job, parts: parts) {
                runs.add()
                return 7
            }
            #expect(results == Array(repeating: 7, count: threads) && runs.value == threads)
        }
    }

    @Test func anErrorOfAThreadIsTheScansAndFreesTheThreads() async throws {
        try await with(threads: 2) { workers in
            for _ in 0..<50 {
                let runs = Shared(0)
                await #expect(throws: Failure.self) {
                    try await workers.admitting(1) {
                        try await workers.run(Self.job, parts: 8) {
                            let number = runs.change { runs in
                                runs += 1
                                return runs
                            }
                            if number == 1 { throw Failure() }
                            return number
                        }
                    }
                }
                #expect(workers.running == 0)
            }
            // Both threads are free.
            let latch = Latch()
            latch.shut()
            defer { latch.open() }
            let scans = [Self.scan(workers, latch), Self.scan(workers, latch, project: 2)]
            try await eventually { latch.arrived == 2 }
            latch.open()
            for scan in scans { #expect(try await scan.value == 1) }
        }
    }

    @Test(arguments: [false, true])
    func noMoreScansRunThanThreads(isHeavy: Bool) async throws {
        try await with(threads: 2, queued: 100) { workers in
            let now = Shared((running: 0, most: 0))
            try await withThrowingTaskGroup(of: Int.self) { group in
                for number in 0..<60 {
                    group.addTask {
                        try await workers.run(QueryJob(project: UInt32(number % 5), isHeavy: isHeavy)) {
                            now.change {
                                $0.running += 1
                                $0.most = max($0.most, $0.running)
                            }
                            defer { now.change { $0.running -= 1 } }
                            return number
                        }
                    }
                }
                var numbers: Set<Int> = []
                for try await number in group { numbers.insert(number) }
                #expect(numbers == Set(0..<60))
            }
            #expect(now.value.most <= 2)
        }
    }

    @Test func lightScansDoNotWaitForHeavyOnes() async throws {
        try await with(threads: 2) { workers in
            let (latch, open) = (Latch(), Latch())
            latch.shut()
            defer { latch.open() }
            let heavy = (0..<5).map { _ in Self.scan(workers, latch, isHeavy: true) }
            try await eventually { latch.arrived == 2 }
            #expect(try await Self.scan(workers, open).value == 1)
            // A light thread has the priority that it began with, a heavy one a lower one.
            let own = try await workers.run(Self.job) { Self.niceness }
            latch.open()
            for scan in heavy { #expect(try await scan.value == 1) }
            #expect(try await workers.run(QueryJob(project: 1, isHeavy: true)) { Self.niceness } > own)
        }
    }

    private static var niceness: Int32 { getpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0) }

    // MARK: Queries

    @Test func queriesOverTheLimitsAreRefusedByName() async throws {
        try await with(threads: 2, queued: 4) { workers in
            let gates = Shared([CheckedContinuation<Void, Never>]())
            func query(_ project: UInt32) -> Task<Void, any Error> {
                Task { try await workers.admitting(project) { await withCheckedContinuation { gate in gates.change { $0.append(gate) } } } }
            }
            var queries: [Task<Void, any Error>] = []
            // A project has the threads and half of the line.
            for count in 1...4 {
                queries.append(query(1))
                try await eventually { workers.running == count }
            }
            let own = await #expect(throws: ProtocolError.self) { try await query(1).value }
            #expect(own?.code == .overloaded && own?.message.split { !$0.isNumber }.contains("4") == true, "\(own as Any)")
            for count in 5...6 {
                queries.append(query(2))
                try await eventually { workers.running == count }
            }
            let all = await #expect(throws: ProtocolError.self) { try await query(3).value }
            #expect(all?.code == .overloaded && all?.message.split { !$0.isNumber }.contains("6") == true, "\(all as Any)")
            try await eventually { gates.value.count == 6 }
            for gate in gates.value { gate.resume() }
            for query in queries { try await query.value }
            #expect(workers.running == 0)
            try await workers.admitting(1) {}
        }
    }

    @Test func aQueryThatFailsOrIsCancelledIsCountedNoLonger() async throws {
        try await with(threads: 1, queued: 0) { workers in
            await #expect(throws: Failure.self) { try await workers.admitting(1) { throw Failure() } }
            #expect(workers.running == 0)
            let query = Task { try await workers.admitting(1) { try await Task.sleep(for: .seconds(3_600)) } }
            try await eventually { workers.running == 1 }
            query.cancel()
            await #expect(throws: CancellationError.self) { try await query.value }
            #expect(workers.running == 0)
        }
    }

    // MARK: Cancelled work

    @Test func aScanThatIsCancelledInLineNeverRuns() async throws {
        try await with(threads: 1) { workers in
            let (latch, never) = (Latch(), Latch())
            latch.shut()
            defer { latch.open() }
            let first = Self.scan(workers, latch)
            try await eventually { latch.arrived == 1 }
            let waiting = (0..<20).map { _ in Self.scan(workers, never) }
            for scan in waiting { scan.cancel() }
            for scan in waiting { #expect(await Self.code(scan) == .cancelled) }
            latch.open()
            #expect(try await first.value == 1)
            #expect(never.arrived == 0)
            // Nothing of them is left in the line.
            #expect(try await Self.scan(workers, latch).value == 1)
        }
    }

    @Test func aScanThatRunsIsAskedWhetherItsCallerStillWaits() async throws {
        try await with(threads: 1) { workers in
            let (isGone, polls) = (Shared(false), Shared(0))
            let poll = workers.polling { isGone.value }
            let scan = Task {
                try await workers.run(Self.job) {
                    while !poll() { polls.add() }
                    throw ProtocolError(.cancelled, "the caller gave up")
                }
            }
            try await eventually { polls.value > 0 }
            isGone.change { $0 = true }
            #expect(await Self.code(scan) == .cancelled)
            #expect(try await Self.scan(workers, Latch()).value == 1)
        }
    }

    /// A free thread and the cancellation may come at the same time: each scan ends once.
    @Test func cancellationsRaceWithTurnsWithoutALeak() async throws {
        try await with(threads: 2, queued: 1_000) { workers in
            for round in 0..<20 {
                let ran = Shared(0)
                let outcomes = await withTaskGroup(of: Bool?.self) { group in
                    for number in 0..<100 {
                        group.addTask {
                            let scan = Task {
                                try await workers.run(QueryJob(project: UInt32(number % 4), isHeavy: number % 3 == 0)) { ran.add() }
                            }
                            if number % 2 == 0 {
                                for _ in 0..<((number * 7 + round) % 40) { await Task.yield() }
                                scan.cancel()
                            }
                            switch await scan.result {
                            case .success: return true
                            case .failure(let error): return (error as? ProtocolError)?.code == .cancelled ? false : nil
                            }
                        }
                    }
                    return await group.reduce(into: [Bool?]()) { $0.append($1) }
                }
                #expect(outcomes.count == 100 && !outcomes.contains(nil), "round \(round)")
                #expect(outcomes.count { $0 == true } == ran.value, "round \(round)")
            }
            let latch = Latch()
            latch.shut()
            defer { latch.open() }
            let scans = [Self.scan(workers, latch), Self.scan(workers, latch, project: 2)]
            try await eventually { latch.arrived == 2 }
            latch.open()
            for scan in scans { #expect(try await scan.value == 1) }
        }
    }

    // MARK: Turns

    /// A scan that polls until the test ends it.
    private final class PollingScan: Sendable {
        private let mayEnd = Shared(false)
        private let rounds = Shared(0)
        let task: Task<Int, any Error>

        init(_ workers: QueryWorkers, project: UInt32, isHeavy: Bool = false) {
            let poll = workers.polling { false }
            task = Task { [mayEnd, rounds] in
                try await workers.run(QueryJob(project: project, isHeavy: isHeavy)) {
                    while !mayEnd.value {
                        if poll() { throw ProtocolError(.cancelled, "the caller gave up") }
                        rounds.add()
                    }
                    return Int(project)
                }
            }
        }

        /// Waits until it has gone on for some rounds.
        func runs(sourceLocation: SourceLocation = #_sourceLocation) async throws {
            let before = rounds.value
            try await eventually("the scan does not go on", sourceLocation: sourceLocation) { rounds.value > before + 2 }
        }

        var count: Int { rounds.value }

        func end() async throws -> Int {
            mayEnd.change { $0 = true }
            return try await task.value
        }
    }

    @Test func aScanGivesWayAfterItsTurnAndGoesOnLater() async throws {
        let time = ManualTime()
        try await with(threads: 1, time: time) { workers in
            let first = PollingScan(workers, project: 1)
            try await first.runs()
            let second = PollingScan(workers, project: 2)
            // Its turn is not over: the manual time has not advanced.
            for _ in 0..<3 { try await first.runs() }
            #expect(second.count == 0)
            time.pass(.milliseconds(50))
            try await second.runs()
            let paused = first.count
            try await second.runs()
            #expect(first.count == paused)
            time.pass(.milliseconds(50))
            try await first.runs()
            #expect(try await first.end() == 1)
            try await second.runs()
            #expect(try await second.end() == 2)
        }
    }

    @Test func aPausedScanEndsWhenItsCallerLeaves() async throws {
        let time = ManualTime()
        try await with(threads: 1, time: time) { workers in
            let isGone = Shared(false)
            let rounds = Shared(0)
            let poll = workers.polling { isGone.value }
            let first = Task {
                try await workers.run(Self.job) {
                    while !poll() { rounds.add() }
                    throw ProtocolError(.cancelled, "the caller gave up")
                }
            }
            try await eventually { rounds.value > 0 }
            let second = PollingScan(workers, project: 2)
            try await eventually {
                time.pass(.milliseconds(50))
                return second.count > 0
            }
            isGone.change { $0 = true }
            #expect(await Self.code(first) == .cancelled)
            try await second.runs()
            #expect(try await second.end() == 2)
        }
    }

    // MARK: The end

    @Test func theEndRefusesScansInLineAndEndsThoseThatPoll() async throws {
        let workers = QueryWorkers(threads: 1, queued: 8)
        let running = PollingScan(workers, project: 1)
        try await running.runs()
        let waiting = (0..<5).map { _ in Self.scan(workers, Latch()) }
        await workers.shutdown()
        #expect(await Self.code(running.task) == .cancelled)
        for scan in waiting { #expect(await Self.code(scan) == .cancelled) }
        #expect(await Self.code(Self.scan(workers, Latch())) == .cancelled)
    }
}
