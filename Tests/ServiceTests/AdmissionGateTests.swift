import CoordinatorService
import FunnelProtocol
import Synchronization
import TestSupport
import Testing

/// Which queries the coordinator lets in, which wait in line, and which are refused.
@Suite(.timeLimit(.minutes(2)))
struct AdmissionGateTests {
    private static var later: ContinuousClock.Instant { .now + .seconds(3_600) }

    private static func gate(running: Int, queued: Int) -> AdmissionGate {
        AdmissionGate(running: running, queued: queued, refusalDelay: .zero)
    }

    /// Queries that run until the test ends them.
    private final class Queries: Sendable {
        let gate: AdmissionGate
        private let state = Mutex((started: [UInt32](), running: [UInt32](), ends: [CheckedContinuation<Void, Never>]()))

        init(_ gate: AdmissionGate) { self.gate = gate }
        convenience init(running: Int, queued: Int) { self.init(AdmissionGateTests.gate(running: running, queued: queued)) }

        var running: [UInt32] { state.withLock { $0.running.sorted() } }
        /// Projects in the order in which their queries began.
        var started: [UInt32] { state.withLock { $0.started } }

        func begin(_ project: UInt32, isHeavy: Bool = false, until deadline: ContinuousClock.Instant = later) -> Task<Void, any Error> {
            Task {
                try await gate.run(project, isHeavy: isHeavy, until: deadline) {
                    await withCheckedContinuation { end in
                        state.withLock {
                            $0.started.append(project)
                            $0.running.append(project)
                            $0.ends.append(end)
                        }
                    }
                }
            }
        }

        /// Ends the first query of a project that runs.
        func end(_ project: UInt32) {
            state.withLock { state in
                guard let i = state.running.firstIndex(of: project) else { return }
                state.running.remove(at: i)
                state.ends.remove(at: i).resume()
            }
        }

        func until(_ running: [UInt32], queued: Int, sourceLocation: SourceLocation = #_sourceLocation) async throws {
            try await eventually(
                "projects \(self.running) run and \(gate.load.queued) queries wait, not \(running) and \(queued)",
                sourceLocation: sourceLocation
            ) { self.running == running && gate.load.queued == queued && gate.load.running == running.count }
        }

        /// Ends queries until none runs or waits.
        func drain() async throws {
            while gate.load != (0, 0) {
                for project in running { end(project) }
                try await Task.sleep(for: .milliseconds(1))
            }
        }
    }

    private static func code(_ task: Task<Void, any Error>) async -> ProtocolError.Code? {
        guard case .failure(let error) = await task.result else { return nil }
        return (error as? ProtocolError)?.code
    }

    // MARK: Limits

    @Test func queriesOverTheLimitWaitInLine() async throws {
        let queries = Queries(running: 3, queued: 8)
        var tasks: [Task<Void, any Error>] = []
        for project in 1...3 as ClosedRange<UInt32> { tasks.append(queries.begin(project)) }
        try await queries.until([1, 2, 3], queued: 0)
        for project in 4...6 as ClosedRange<UInt32> {
            tasks.append(queries.begin(project))
            try await queries.until([1, 2, 3], queued: Int(project) - 3)
        }
        for (ended, running) in [(1, [2, 3, 4]), (2, [3, 4, 5]), (3, [4, 5, 6])] as [(UInt32, [UInt32])] {
            queries.end(ended)
            try await queries.until(running, queued: 3 - Int(ended))
        }
        try await queries.drain()
        for task in tasks { try await task.value }
    }

    @Test func aFullLineRefusesAndTheErrorNamesBothLimits() async throws {
        let queries = Queries(running: 2, queued: 4)
        var tasks: [Task<Void, any Error>] = []
        for project in 1...6 as ClosedRange<UInt32> { tasks.append(queries.begin(project)) }
        try await eventually { queries.gate.load == (2, 4) }
        let refused = await #expect(throws: ProtocolError.self) { try await queries.begin(7).value }
        #expect(refused?.code == .overloaded && refused?.retryAfterMilliseconds == 1_000)
        let numbers = refused?.message.split { !$0.isNumber } ?? []
        #expect(numbers.contains("2") && numbers.contains("4"), "\(refused as Any)")
        #expect(queries.gate.load == (2, 4))
        try await queries.drain()
        for task in tasks { try await task.value }
    }

    @Test func withoutALineAQueryRunsOrIsRefused() async throws {
        let queries = Queries(running: 1, queued: 0)
        let first = queries.begin(1)
        try await queries.until([1], queued: 0)
        #expect(await Self.code(queries.begin(2)) == .overloaded)
        queries.end(1)
        try await first.value
        let second = queries.begin(2)
        try await queries.until([2], queued: 0)
        queries.end(2)
        try await second.value
        #expect(queries.gate.load == (0, 0))
    }

    @Test func aQueryThatFailsFreesItsPlace() async throws {
        struct Failure: Error {}
        let gate = Self.gate(running: 1, queued: 0)
        for _ in 0..<3 {
            await #expect(throws: Failure.self) { try await gate.run(1, isHeavy: true, until: Self.later) { throw Failure() } }
            #expect(gate.load == (0, 0))
        }
        #expect(try await gate.run(1, isHeavy: false, until: Self.later) { 7 } == 7)
    }

    // MARK: Turns

    @Test func aProjectHasHalfOfThePlacesWhileAnotherWaits() async throws {
        let queries = Queries(running: 4, queued: 8)
        var tasks = (0..<6).map { _ in queries.begin(1) }
        // The last place is not for a project that has all others.
        try await queries.until([1, 1, 1], queued: 3)
        tasks.append(queries.begin(2))
        try await queries.until([1, 1, 1, 2], queued: 3)
        tasks.append(queries.begin(2))
        try await queries.until([1, 1, 1, 2], queued: 4)
        // Project 1 still has its half, so the free place goes to project 2.
        queries.end(1)
        try await queries.until([1, 1, 2, 2], queued: 3)
        queries.end(2)
        queries.end(2)
        try await queries.until([1, 1, 1], queued: 2)
        for (running, queued) in [([1, 1, 1], 1), ([1, 1, 1], 0), ([1, 1], 0), ([1], 0), ([], 0)] as [([UInt32], Int)] {
            queries.end(1)
            try await queries.until(running, queued: queued)
        }
        for task in tasks { try await task.value }
    }

    @Test func projectsWaitInTurn() async throws {
        let queries = Queries(running: 1, queued: 16)
        var tasks: [Task<Void, any Error>] = []
        for (queued, project) in ([1, 1, 1, 1, 2, 2, 3] as [UInt32]).enumerated() {
            tasks.append(queries.begin(project))
            try await queries.until([1], queued: queued)
        }
        for (queued, project) in ([2, 3, 1, 2, 1, 1] as [UInt32]).enumerated() {
            queries.end(queries.running[0])
            try await queries.until([project], queued: 5 - queued)
        }
        #expect(queries.started == [1, 2, 3, 1, 2, 1, 1])
        try await queries.drain()
        for task in tasks { try await task.value }
    }

    @Test func aProjectHasHalfOfTheLine() async throws {
        let queries = Queries(running: 2, queued: 8)
        let tasks = (0..<5).map { _ in queries.begin(1) }
        try await queries.until([1], queued: 4)
        #expect(await Self.code(queries.begin(1)) == .overloaded)
        let other = queries.begin(2)
        try await queries.until([1, 2], queued: 4)
        queries.end(2)
        try await other.value
        for left in (0..<5).reversed() {
            try await queries.until([1], queued: left)
            queries.end(1)
        }
        for task in tasks { try await task.value }
    }

    @Test func heavyQueriesNeverTakeTheLastPlace() async throws {
        let queries = Queries(running: 3, queued: 8)
        var tasks: [Task<Void, any Error>] = []
        for (project, running, queued) in [(1, [1], 0), (2, [1, 2], 0), (3, [1, 2], 1), (4, [1, 2], 2)] as [(UInt32, [UInt32], Int)] {
            tasks.append(queries.begin(project, isHeavy: true))
            try await queries.until(running, queued: queued)
        }
        // A light query has the place that they leave; the next one waits, and goes before the heavy ones.
        tasks.append(queries.begin(5))
        try await queries.until([1, 2, 5], queued: 2)
        tasks.append(queries.begin(6))
        try await queries.until([1, 2, 5], queued: 3)
        queries.end(1)
        try await queries.until([2, 5, 6], queued: 2)
        // Two light ones run: a heavy one has the third place.
        queries.end(2)
        try await queries.until([3, 5, 6], queued: 1)
        queries.end(5)
        try await queries.until([3, 4, 6], queued: 0)
        try await queries.drain()
        for task in tasks { try await task.value }
    }

    @Test func theOnlyPlaceIsForHeavyQueriesToo() async throws {
        let gate = Self.gate(running: 1, queued: 0)
        #expect(try await gate.run(1, isHeavy: true, until: Self.later) { 1 } == 1)
    }

    // MARK: Leaving the line

    @Test func aDeadlineInLineIsAnError() async throws {
        let queries = Queries(running: 1, queued: 8)
        let first = queries.begin(1)
        try await queries.until([1], queued: 0)
        let late = queries.begin(2, until: .now + .milliseconds(100))
        let patient = queries.begin(3)
        #expect(await Self.code(late) == .deadlineExceeded)
        try await queries.until([1], queued: 1)
        queries.end(1)
        try await queries.until([3], queued: 0)
        queries.end(3)
        for task in [first, patient] { try await task.value }
        #expect(queries.gate.load == (0, 0))
    }

    /// The timer may fire before the query is in line.
    @Test func aQueryWhoseDeadlineHasPassedDoesNotWait() async throws {
        let queries = Queries(running: 1, queued: 1_000)
        let first = queries.begin(1)
        try await queries.until([1], queued: 0)
        let gate = queries.gate
        let ended = Shared(0)
        let late = (0..<400).map { i in
            Task {
                defer { ended.add() }
                try await gate.run(UInt32(2 + i % 4), isHeavy: i % 3 == 0, until: .now) {}
            }
        }
        for _ in 0..<1_000 where ended.value < late.count { try await Task.sleep(for: .milliseconds(5)) }
        #expect(gate.load.queued == 0, "queries wait in line after their deadline")
        queries.end(1)
        try await first.value
        var codes: [ProtocolError.Code?: Int] = [:]
        for task in late { codes[await Self.code(task), default: 0] += 1 }
        #expect(codes == [.deadlineExceeded: late.count])
    }

    @Test func aCallerThatLeavesTheLineIsForgotten() async throws {
        let queries = Queries(running: 1, queued: 4)
        let first = queries.begin(1)
        try await queries.until([1], queued: 0)
        let others = [queries.begin(2), queries.begin(3)]
        try await queries.until([1], queued: 2)
        others[0].cancel()
        #expect(await Self.code(others[0]) == .cancelled)
        try await queries.until([1], queued: 1)
        queries.end(1)
        try await queries.until([3], queued: 0)
        queries.end(3)
        for task in [first, others[1]] { try await task.value }
        #expect(queries.gate.load == (0, 0))
    }

    @Test func aCallerThatHasLeftBeforeIsNotLetIn() async throws {
        let gate = Self.gate(running: 1, queued: 4)
        let task = Task {
            while !Task.isCancelled { await Task.yield() }
            try await gate.run(1, isHeavy: false, until: Self.later) { _ = Issue.record("the query ran") }
        }
        task.cancel()
        #expect(await Self.code(task) == .cancelled)
        #expect(gate.load == (0, 0))
    }

    /// A free place, the timer and a cancellation may come at the same time: each query ends once, and leaves nothing behind.
    @Test func placesTimersAndCancellationsRaceWithoutALeak() async throws {
        for seed in 0..<12 as Range<UInt64> {
            let gate = Self.gate(running: 4, queued: 60)
            let now = Shared((running: 0, heavy: 0, mostRunning: 0, mostHeavy: 0))
            let codes = await withTaskGroup(of: ProtocolError.Code?.self) { group in
                for number in 0..<300 as Range<UInt64> {
                    group.addTask {
                        var random = SplitMix64(seed: seed << 32 | number)
                        let (project, isHeavy) = (UInt32(1 + random.below(5)), random.chance(30))
                        let deadline = random.chance(50) ? ContinuousClock.now + .microseconds(random.below(4_000)) : Self.later
                        let yields = random.below(30)
                        let query = Task {
                            try await gate.run(project, isHeavy: isHeavy, until: deadline) {
                                now.change {
                                    $0.running += 1
                                    $0.heavy += isHeavy ? 1 : 0
                                    $0.mostRunning = max($0.mostRunning, $0.running)
                                    $0.mostHeavy = max($0.mostHeavy, $0.heavy)
                                }
                                for _ in 0..<yields { await Task.yield() }
                                now.change {
                                    $0.running -= 1
                                    $0.heavy -= isHeavy ? 1 : 0
                                }
                            }
                        }
                        if random.chance(40) {
                            for _ in 0..<random.below(60) { await Task.yield() }
                            query.cancel()
                        }
                        return await Self.code(query)
                    }
                }
                return await group.reduce(into: [ProtocolError.Code?]()) { $0.append($1) }
            }
            #expect(codes.count == 300 && gate.load == (0, 0), "seed \(seed): load \(gate.load)")
            #expect(Set(codes).isSubset(of: [nil, .overloaded, .deadlineExceeded, .cancelled]), "seed \(seed): \(Set(codes))")
            let (most, mostHeavy) = (now.value.mostRunning, now.value.mostHeavy)
            #expect(most <= 4 && mostHeavy <= 3, "seed \(seed): \(most) ran, \(mostHeavy) of them heavy")
            // All places are free.
            let queries = Queries(gate)
            let tasks = (1...4).map { queries.begin(UInt32($0)) }
            try await queries.until([1, 2, 3, 4], queued: 0)
            try await queries.drain()
            for task in tasks { try await task.value }
        }
    }

    // MARK: Refusals

    @Test func aRefusalIsHeldBackUntilTheDeadlineOrTheCallersLeaving() async throws {
        let queries = Queries(AdmissionGate(running: 1, queued: 0, refusalDelay: .seconds(3_600)))
        let first = queries.begin(1)
        try await queries.until([1], queued: 0)
        #expect(await Self.code(queries.begin(2, until: .now + .milliseconds(40))) != nil)
        let held = (0..<20).map { _ in queries.begin(3) }
        for task in held { task.cancel() }
        for task in held { #expect(await Self.code(task) != nil) }
        #expect(queries.gate.load == (1, 0))
        queries.end(1)
        try await first.value
        #expect(queries.gate.load == (0, 0))
    }
}
