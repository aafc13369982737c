import Dispatch
import ServiceRuntime
import Synchronization
import Testing

/// Long work of calls on threads of its own.
@Suite(.timeLimit(.minutes(2)))
struct WorkThreadsTests {
    private struct Failed: Error, Equatable { var number: Int }

    /// Works that run until they are let go, each by its name.
    private final class Works: Sendable {
        let threads: WorkThreads
        private let state = Mutex((begun: [String](), gates: [String: DispatchSemaphore]()))
        init(_ threads: WorkThreads) { self.threads = threads }

        /// Names of works in the order in which they began.
        var begun: [String] { state.withLock { $0.begun } }

        func begin(_ name: String, project: UInt32) -> Task<String, any Error> {
            let gate = DispatchSemaphore(value: 0)
            state.withLock { $0.gates[name] = gate }
            return Task {
                try await threads.run(project) { [self] in
                    state.withLock { $0.begun.append(name) }
                    gate.wait()
                    return name
                }
            }
        }

        func end(_ name: String) { state.withLock { $0.gates[name] }?.signal() }

        func until(running: Int, waiting: Int, begun count: Int) async {
            let isSo = await eventually { threads.load == (running, waiting) && begun.count == count }
            #expect(isSo, "\(threads.load), begun: \(begun)")
        }
    }

    @Test func resultsAndErrorsComeBack() async throws {
        let threads = WorkThreads(isBackground: false)
        #expect(try await threads.run(1) { 7 } == 7)
        for number in 0..<5 {
            let found = await #expect(throws: Failed.self) { try await threads.run(1) { throw Failed(number: number) } }
            #expect(found == Failed(number: number))
        }
        // What failed has left its place.
        #expect(threads.load == (0, 0))
        #expect(try await threads.run(2) { "x" } == "x")
        await threads.shutdown()
    }

    @Test func twoRunAtATimeAndProjectsTakeTurns() async throws {
        let threads = WorkThreads(isBackground: false)
        let works = Works(threads)
        var tasks = [works.begin("1a", project: 1)]
        await works.until(running: 1, waiting: 0, begun: 1)
        tasks.append(works.begin("1b", project: 1))
        await works.until(running: 2, waiting: 0, begun: 2)
        for (waiting, name) in ["1c", "1d", "2a"].enumerated() {
            tasks.append(works.begin(name, project: name == "2a" ? 2 : 1))
            await works.until(running: 2, waiting: waiting + 1, begun: 2)
        }
        // Project 2 came last and is next: while it waits, project 1 has half of the threads.
        works.end("1a")
        await works.until(running: 2, waiting: 2, begun: 3)
        works.end("2a")
        await works.until(running: 2, waiting: 1, begun: 4)
        for name in ["1b", "1c", "1d"] { works.end(name) }
        var names: [String] = []
        for task in tasks { names.append(try await task.value) }
        #expect(names == ["1a", "1b", "1c", "1d", "2a"] && works.begun == ["1a", "1b", "2a", "1c", "1d"])
        await works.until(running: 0, waiting: 0, begun: 5)
        await threads.shutdown()
    }

    @Test func whoIsCancelledInLineDoesNothingAndLeavesItsPlace() async throws {
        let threads = WorkThreads(isBackground: false)
        let works = Works(threads)
        let running = [works.begin("a", project: 1), works.begin("b", project: 1)]
        await works.until(running: 2, waiting: 0, begun: 2)
        let cancelled = works.begin("c", project: 1)
        await works.until(running: 2, waiting: 1, begun: 2)
        cancelled.cancel()
        works.end("a")
        works.end("b")
        await #expect(throws: CancellationError.self) { try await cancelled.value }
        for task in running { _ = try await task.value }
        await works.until(running: 0, waiting: 0, begun: 2)
        #expect(try await threads.run(1) { 1 } == 1)
        await threads.shutdown()
    }

    @Test func shortWorkNeedsNoThread() async throws {
        let threads = WorkThreads(isBackground: false)
        let works = Works(threads)
        let running = [works.begin("a", project: 1), works.begin("b", project: 1)]
        await works.until(running: 2, waiting: 0, begun: 2)
        #expect(try await threads.run(1, isLong: false) { 7 } == 7)
        let found = await #expect(throws: Failed.self) { try await threads.run(1, isLong: false) { throw Failed(number: 1) } }
        #expect(found == Failed(number: 1) && threads.load == (2, 0))
        for name in ["a", "b"] { works.end(name) }
        for task in running { _ = try await task.value }
        #expect(try await threads.run(1, isLong: true) { 8 } == 8)
        await threads.shutdown()
    }

    @Test func afterTheEndWorkIsRefusedAndDoesNotHang() async {
        let threads = WorkThreads(isBackground: false)
        await threads.shutdown()
        for _ in 0..<4 { await #expect(throws: (any Error).self) { try await threads.run(1) { 1 } } }
        #expect(threads.load == (0, 0))
    }

    @Test func aValueIsHandedOverOnce() {
        let handover = Handover([1, 2, 3])
        #expect(handover.take() == [1, 2, 3])
    }
}
