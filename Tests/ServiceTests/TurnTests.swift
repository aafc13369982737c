import CoordinatorService
import FunnelProtocol
import ServiceRuntime
import ShardService
import Synchronization
import Testing

/// Projects take turns at the coordinator's gate and on a shard's threads, and light queries go before heavy ones.
struct TurnTests {
    // MARK: The coordinator's gate

    private static var later: ContinuousClock.Instant { .now + .seconds(60) }

    /// Queries that run until they are told to end.
    private final class Queries: Sendable {
        let gate: AdmissionGate
        private let state = Mutex((running: [UInt32](), ends: [CheckedContinuation<Void, Never>]()))
        init(_ gate: AdmissionGate) { self.gate = gate }

        var running: [UInt32] { state.withLock { $0.running.sorted() } }

        func begin(_ project: UInt32, isHeavy: Bool = false) -> Task<Void, any Error> {
            Task {
                try await gate.run(project, isHeavy: isHeavy, until: TurnTests.later) {
                    await withCheckedContinuation { end in
                        state.withLock {
                            $0.running.append(project)
                            $0.ends.append(end)
                        }
                    }
                }
            }
        }

        /// Ends the first of a project that runs.
        func end(_ project: UInt32) {
            state.withLock { state in
                guard let i = state.running.firstIndex(of: project) else { return }
                state.running.remove(at: i)
                state.ends.remove(at: i).resume()
            }
        }

        func until(_ running: [UInt32], queued: Int) async throws {
            for _ in 0..<2_000 where self.running != running || gate.load.queued != queued { try await Task.sleep(for: .milliseconds(5)) }
            #expect(self.running == running && gate.load.queued == queued)
        }
    }

    @Test func aProjectHasHalfOfThePlacesWhileAnotherWaits() async throws {
        let queries = Queries(AdmissionGate(running: 4, queued: 8))
        var tasks = (0..<6).map { _ in queries.begin(1) }
        // The last place is not for a project that has all others.
        try await queries.until([1, 1, 1], queued: 3)
        tasks.append(queries.begin(2))
        try await queries.until([1, 1, 1, 2], queued: 3)
        tasks.append(queries.begin(2))
        try await queries.until([1, 1, 1, 2], queued: 4)
        // Project 1 has waited longer, and has its half.
        queries.end(1)
        try await queries.until([1, 1, 2, 2], queued: 3)
        queries.end(2)
        queries.end(2)
        try await queries.until([1, 1, 1], queued: 2)
        for _ in 0..<5 {
            queries.end(1)
            try await Task.sleep(for: .milliseconds(20))
        }
        try await queries.until([], queued: 0)
        for task in tasks { try await task.value }
    }

    @Test func aProjectHasHalfOfTheLine() async throws {
        let queries = Queries(AdmissionGate(running: 2, queued: 8))
        let tasks = (0..<5).map { _ in queries.begin(1) }
        try await queries.until([1], queued: 4)
        let refused = await #expect(throws: ProtocolError.self) { try await queries.begin(1).value }
        #expect(refused?.code == .overloaded)
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

    @Test func heavyQueriesLeaveAPlaceAndLightOnesGoFirst() async throws {
        let queries = Queries(AdmissionGate(running: 3, queued: 8))
        var tasks = [queries.begin(1, isHeavy: true)]
        try await queries.until([1], queued: 0)
        tasks.append(queries.begin(2, isHeavy: true))
        try await queries.until([1, 2], queued: 0)
        tasks.append(queries.begin(3, isHeavy: true))
        try await queries.until([1, 2], queued: 1)
        tasks.append(queries.begin(4))
        try await queries.until([1, 2, 4], queued: 1)
        tasks.append(queries.begin(5))
        try await queries.until([1, 2, 4], queued: 2)
        queries.end(4)
        try await queries.until([1, 2, 5], queued: 1)
        queries.end(1)
        try await queries.until([2, 3, 5], queued: 0)
        for project in [2, 3, 5] as [UInt32] { queries.end(project) }
        for task in tasks { try await task.value }
    }

    @Test func whoLeavesTheLineIsForgotten() async throws {
        let queries = Queries(AdmissionGate(running: 1, queued: 4))
        let first = queries.begin(1)
        try await queries.until([1], queued: 0)
        let second = queries.begin(2)
        try await queries.until([1], queued: 1)
        second.cancel()
        await #expect(throws: ProtocolError.self) { try await second.value }
        try await queries.until([1], queued: 0)
        queries.end(1)
        try await first.value
    }

    // MARK: A shard's threads

    private static func scan(_ ticket: UInt64, _ project: UInt32, isHeavy: Bool = false, _ since: ContinuousClock.Instant)
        -> ProjectTurns.Work
    {
        ProjectTurns.Work(ticket: ticket, project: project, isHeavy: isHeavy, since: since)
    }

    @Test func aProjectGivesAThreadToAnother() {
        let start = ContinuousClock.now
        var turns = ProjectTurns(places: 2, begunMax: 8)
        #expect(turns.enter(Self.scan(1, 1, start)).map(\.ticket) == [1])
        #expect(turns.enter(Self.scan(2, 1, start)).map(\.ticket) == [2])
        #expect(turns.enter(Self.scan(3, 1, start)).isEmpty)
        // Its own others wait for a whole turn.
        #expect(!turns.shouldGiveWay(1, start + .milliseconds(10)))
        #expect(turns.enter(Self.scan(4, 2, start)).isEmpty)
        #expect(turns.shouldGiveWay(1, start + .milliseconds(10)))
        #expect(turns.giveWay(1, start + .milliseconds(10)) {}.map(\.ticket) == [4])
        // Now each has its half.
        #expect(!turns.shouldGiveWay(2, start + .milliseconds(20)))
        #expect(!turns.shouldGiveWay(4, start + .milliseconds(20)))
        // The first goes on where it stood, in its turn.
        #expect(turns.leave(4, start + .milliseconds(30)).map(\.ticket) == [3])
        #expect(turns.shouldGiveWay(2, start + .milliseconds(60)))
        #expect(turns.giveWay(2, start + .milliseconds(60)) {}.map(\.ticket) == [1])
        #expect(turns.leave(3, start + .milliseconds(61)).map(\.ticket) == [2])
        #expect(turns.leave(1, start + .milliseconds(62)).isEmpty && turns.leave(2, start + .milliseconds(63)).isEmpty)
    }

    @Test(arguments: [1, 2, 4])
    func lightScansGoBeforeHeavyOnes(places: Int) {
        let start = ContinuousClock.now
        var turns = ProjectTurns(places: places, begunMax: 8)
        let heavy = (1...UInt64(places)).map { turns.enter(Self.scan($0, 1, isHeavy: true, start)) }
        #expect(heavy.allSatisfy { $0.count == 1 })
        #expect(turns.enter(Self.scan(10, 1, isHeavy: true, start)).isEmpty)
        #expect(turns.enter(Self.scan(11, 1, start)).isEmpty)
        #expect(turns.shouldGiveWay(1, start + .milliseconds(6)))
        #expect(turns.giveWay(1, start + .milliseconds(6)) {}.map(\.ticket) == [11])
        #expect(!turns.shouldGiveWay(2, start + .milliseconds(6)))
        // Whoever has waited long enough has a turn all the same.
        #expect(turns.enter(Self.scan(12, 1, start + .milliseconds(6))).isEmpty)
        let woken = turns.leave(11, start + .seconds(2))
        #expect(woken.map(\.ticket) == [10])
    }

    @Test func workThatDoesNotPauseLeavesAPlace() {
        let start = ContinuousClock.now
        func unpaused(_ ticket: UInt64) -> ProjectTurns.Work {
            ProjectTurns.Work(ticket: ticket, project: 1, isHeavy: true, isUnpaused: true, since: start)
        }
        var turns = ProjectTurns(places: 2, begunMax: 8)
        #expect(turns.enter(unpaused(1)).count == 1)
        #expect(turns.enter(unpaused(2)).isEmpty)
        // A scan that pauses takes the other place, and gives it to whoever comes.
        #expect(turns.enter(Self.scan(3, 1, isHeavy: true, start)).count == 1)
        #expect(turns.enter(Self.scan(4, 2, start)).isEmpty)
        #expect(turns.giveWay(3, start + .milliseconds(6)) {}.map(\.ticket) == [4])
        #expect(turns.leave(4, start + .milliseconds(7)).map(\.ticket) == [3])
        #expect(turns.leave(1, start + .milliseconds(8)).map(\.ticket) == [2])
        // Where there is one place, it has that.
        var single = ProjectTurns(places: 1, begunMax: 8)
        #expect(single.enter(unpaused(1)).count == 1)
    }

    @Test func scansThatStandStillHoldThreadsButNotAll() {
        let start = ContinuousClock.now
        var turns = ProjectTurns(places: 1, begunMax: 2)
        #expect(turns.enter(Self.scan(1, 1, start)).count == 1)
        #expect(turns.enter(Self.scan(2, 2, start)).isEmpty && turns.enter(Self.scan(3, 3, start)).isEmpty)
        #expect(turns.giveWay(1, start + .milliseconds(60)) {}.map(\.ticket) == [2])
        // The third can't begin: two have.
        #expect(turns.giveWay(2, start + .milliseconds(120)) {}.map(\.ticket) == [1])
        #expect(turns.leave(1, start + .milliseconds(130)).map(\.ticket) == [3])
        #expect(turns.withdraw(2)?.ticket == 2 && turns.withdraw(2) == nil)
    }
}
