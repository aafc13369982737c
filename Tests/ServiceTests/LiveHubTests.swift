import CoordinatorService
import FunnelModel
import FunnelProtocol
import Logging
import NIOCore
import ServiceRuntime
import Testing

/// When live questions are evaluated, with shards that hang and answers that take long. The test moves the time tick by tick,
/// each time after all tasks of the hub sleep.
@Suite(.timeLimit(.minutes(2)))
struct LiveHubTests {
    private static let tick = Duration.milliseconds(250)
    private static let whole: JSONValue = ["entered": 1, "completeness": ["missing": []]]
    private static let partial: JSONValue = ["entered": 1, "completeness": ["missing": ["shard-1"]]]
    private static let failure = ProtocolError(.deadlineExceeded, "no answer from shard-1", shards: ["shard-1"])

    private static func question(_ project: UInt32, _ number: Int = 0) -> LiveHub.Question {
        .init(project: project, body: Array("\(number)".utf8))
    }

    /// A viewer that reads all events.
    private final class Viewer: Sendable {
        private let events = Shared([String]())
        private let hasEnded = Shared(false)
        private let task: Task<Void, Never>

        init(_ stream: AsyncStream<LiveHub.Event>) {
            task = Task { [events, hasEnded] in
                for await event in stream {
                    let name = String(buffer: event.bytes).dropFirst("event: ".count).prefix { $0 != "\n" }
                    events.change { $0.append(String(name)) }
                }
                hasEnded.change { $0 = true }
            }
        }

        /// Names of the events.
        var names: [String] { events.value }
        var isAtEnd: Bool { hasEnded.value }

        func leave() async {
            task.cancel()
            await task.value
        }

        func gets(_ names: [String], sourceLocation: SourceLocation = #_sourceLocation) async throws {
            try await eventually("the viewer got \(self.names), not \(names)", sourceLocation: sourceLocation) { self.names == names }
        }
    }

    /// A hub with a source that the test controls.
    private final class Setup: Sendable {
        let time = ManualTime()
        let metrics = Metrics()
        let hub: LiveHub
        /// By project: changes with new rows.
        let states = Shared([UInt32: UInt64]())
        /// Number of reads of the state, by project.
        let looks = Shared([UInt32: Int]())
        /// All evaluations: project, and time since the start.
        let evaluations = Shared([(project: UInt32, at: Duration)]())
        private let start: ContinuousClock.Instant

        /// - Parameter evaluate: gets the number of the project's evaluation, from 1.
        init(_ evaluate: @escaping @Sendable (LiveHub.Question, Int, ManualTime) async throws -> JSONValue) {
            let (time, states, looks, evaluations) = (time, states, looks, evaluations)
            let start = time.now
            self.start = start
            let source = LiveHub.Source { project in
                looks.change { $0[project, default: 0] += 1 }
                return [states.value[project] ?? 0]
            } evaluate: { question in
                let number = evaluations.change { evaluations in
                    evaluations.append((question.project, time.now - start))
                    return evaluations.count { $0.project == question.project }
                }
                return try await evaluate(question, number, time)
            }
            hub = LiveHub(source, metrics: metrics, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }) {
                time.now
            } sleep: {
                await time.sleep($0)
            }
        }

        var passed: Duration { time.now - start }

        func watch(_ question: LiveHub.Question, mayLook: @escaping @Sendable () -> Bool = { true }) throws -> Viewer {
            Viewer(try hub.watch(question, mayLook: mayLook))
        }

        /// Waits until the hub's own two tasks and those of this many projects sleep.
        func settle(projects: Int, sourceLocation: SourceLocation = #_sourceLocation) async throws {
            try await time.settle(2 + projects, sourceLocation: sourceLocation)
        }

        /// Lets ticks pass, after each of which the hub has this many projects.
        func pass(_ ticks: Int, projects: Int, sourceLocation: SourceLocation = #_sourceLocation) async throws {
            for _ in 0..<ticks {
                time.pass(tick)
                try await settle(projects: projects, sourceLocation: sourceLocation)
            }
        }

        /// When the evaluations of a project began.
        func evaluations(_ project: UInt32) -> [Duration] { evaluations.value.filter { $0.project == project }.map(\.at) }

        var viewersInMetrics: String? {
            let line = metrics.exposition.split(separator: "\n").first { $0.hasPrefix("sluice_live_viewers ") }
            return line?.split(separator: " ").last.map(String.init)
        }
    }

    /// Runs a hub while `body` runs, which begins once all tasks of the hub sleep.
    private static func with(_ setup: Setup, projects: Int = 0, _ body: (Setup) async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await setup.hub.run() }
            do {
                try await setup.settle(projects: projects)
                try await body(setup)
            } catch {
                group.cancelAll()
                throw error
            }
            group.cancelAll()
            try await group.waitForAll()
        }
    }

    // MARK: When a question is evaluated

    @Test func anAnswerIsEvaluatedAgainOnceTheDataChange() async throws {
        try await Self.with(Setup { _, number, _ in ["entered": .count(number), "completeness": ["missing": []]] }) { setup in
            let viewer = try setup.watch(Self.question(1))
            try await setup.pass(8, projects: 1)
            #expect(setup.evaluations(1).count == 1, "nothing has changed since")
            setup.states.change { $0[1] = 1 }
            try await setup.pass(1, projects: 1)
            #expect(setup.evaluations(1).count == 2)
            setup.states.change { $0[2] = 1 }
            try await setup.pass(8, projects: 1)
            #expect(setup.evaluations(1).count == 2, "another project has changed")
            try await viewer.gets(["report", "report"])
        }
    }

    @Test func anAnswerIsEvaluatedAgainAfterHalfAMinuteWithoutNewRows() async throws {
        try await Self.with(Setup { _, _, _ in Self.whole }) { setup in
            let viewer = try setup.watch(Self.question(1))
            try await setup.pass(121, projects: 1)
            #expect(setup.evaluations(1).count == 1)
            try await setup.pass(4, projects: 1)
            #expect(setup.evaluations(1).count == 2)
            #expect(!viewer.isAtEnd)
        }
    }

    /// A failed or partial answer is evaluated again after a second, even if the data did not change.
    @Test(arguments: [true, false])
    func whatFailedOrLacksAShardIsTriedAgainAfterASecond(fails: Bool) async throws {
        let setup = Setup { _, number, _ in
            if number > 2 { return Self.whole }
            if fails { throw Self.failure }
            return Self.partial
        }
        try await Self.with(setup) { setup in
            let viewer = try setup.watch(Self.question(1))
            try await setup.pass(16, projects: 1)
            let times = setup.evaluations(1)
            #expect(times.count == 3)
            for (before, after) in zip(times, times.dropFirst()) {
                #expect(after - before >= .seconds(1) && after - before <= .milliseconds(1_250), "\(times)")
            }
            // The same problem again is no news.
            try await viewer.gets([fails ? "problem" : "report", "report"])
        }
    }

    /// A failure that took its whole time is followed by a second, not by four times its own time.
    @Test func whatTookLongToFailIsTriedAgainAfterASecond() async throws {
        let setup = Setup { _, number, time in
            guard number == 1 else { return Self.whole }
            await time.sleep(.seconds(3))
            throw Self.failure
        }
        try await Self.with(setup) { setup in
            let viewer = try setup.watch(Self.question(1))
            try await setup.pass(20, projects: 1)
            let times = setup.evaluations(1)
            #expect(times.count == 2 && times[1] - times[0] >= .seconds(4) && times[1] - times[0] <= .milliseconds(4_250), "\(times)")
            try await viewer.gets(["problem", "report"])
        }
    }

    @Test func anAnswerThatTakesLongIsEvaluatedAFifthOfTheTime() async throws {
        let setup = Setup { _, number, time in
            await time.sleep(.seconds(1))
            return ["entered": .count(number), "completeness": ["missing": []]]
        }
        try await Self.with(setup) { setup in
            _ = try setup.watch(Self.question(1))
            for round in 0..<80 as Range<UInt64> {
                setup.states.change { $0[1] = round }
                try await setup.pass(1, projects: 1)
            }
            let times = setup.evaluations(1)
            #expect(times.count == 4 || times.count == 5, "\(times)")
            #expect(zip(times, times.dropFirst()).allSatisfy { $1 - $0 >= .seconds(5) }, "\(times)")
        }
    }

    /// With some users left out an answer is not exact, and whole all the same.
    @Test func anAnswerWithoutHeavyUsersIsWhole() async throws {
        let setup = Setup { _, _, _ in ["completeness": ["missing": [], "exact": false, "heavy_users": 1]] }
        try await Self.with(setup) { setup in
            let viewer = try setup.watch(Self.question(1))
            try await setup.pass(16, projects: 1)
            #expect(setup.evaluations(1).count == 1)
            try await viewer.gets(["report"])
        }
    }

    // MARK: Viewers

    @Test func viewersOfOneQuestionShareItsEvaluation() async throws {
        try await Self.with(Setup { _, _, _ in Self.whole }) { setup in
            let viewers = try (0..<50).map { _ in try setup.watch(Self.question(1)) }
            try await setup.pass(2, projects: 1)
            // A later viewer gets the last answer at once.
            let late = try setup.watch(Self.question(1))
            try await late.gets(["report"])
            for viewer in viewers { try await viewer.gets(["report"]) }
            #expect(setup.evaluations(1).count == 1 && setup.viewersInMetrics == "51")
        }
    }

    @Test func theLastViewerWhoLeavesEndsTheWork() async throws {
        try await Self.with(Setup { _, _, _ in throw Self.failure }) { setup in
            let viewers = try (0..<3).map { _ in try setup.watch(Self.question(1)) }
            let other = try setup.watch(Self.question(2))
            try await setup.pass(4, projects: 2)
            await viewers[0].leave()
            await viewers[1].leave()
            #expect(setup.viewersInMetrics == "2")
            let before = setup.evaluations(1).count
            try await setup.pass(8, projects: 2)
            #expect(setup.evaluations(1).count > before, "one viewer is left")
            await viewers[2].leave()
            #expect(setup.viewersInMetrics == "1")
            // The task of the project is gone; that of the other one goes on.
            try await setup.pass(1, projects: 1)
            let (looks, evaluations) = (setup.looks.value[1], setup.evaluations(1).count)
            let others = setup.evaluations(2).count
            try await setup.pass(20, projects: 1)
            #expect(setup.looks.value[1] == looks && setup.evaluations(1).count == evaluations)
            #expect(setup.evaluations(2).count > others)
            // A new viewer starts the work again.
            let again = try setup.watch(Self.question(1))
            try await setup.pass(1, projects: 2)
            #expect(setup.evaluations(1).count == evaluations + 1)
            try await again.gets(["problem"])
            #expect(!other.isAtEnd)
        }
    }

    @Test func aViewerWhoseSessionHasEndedGetsAnEnd() async throws {
        try await Self.with(Setup { _, _, _ in Self.whole }) { setup in
            let mayLook = Shared(true)
            let viewer = try setup.watch(Self.question(1)) { mayLook.value }
            let other = try setup.watch(Self.question(1))
            try await setup.pass(2, projects: 1)
            try await viewer.gets(["report"])
            mayLook.change { $0 = false }
            try await setup.pass(1, projects: 1)
            try await viewer.gets(["report", "end"])
            try await eventually { viewer.isAtEnd }
            #expect(setup.viewersInMetrics == "1" && !other.isAtEnd)
        }
    }

    @Test func aViewerGetsTheLastAnswerAgainAfterFiveSeconds() async throws {
        try await Self.with(Setup { _, _, _ in Self.whole }) { setup in
            let viewer = try setup.watch(Self.question(1))
            try await setup.pass(4, projects: 1)
            try await viewer.gets(["report"])
            try await setup.pass(20, projects: 1)
            try await viewer.gets(["report", "report"])
            #expect(setup.evaluations(1).count == 1)
        }
    }

    @Test func aSlowReaderGetsOnlyTheNewestEvent() async throws {
        let setup = Setup { _, number, _ in ["entered": .count(number), "completeness": ["missing": []]] }
        try await Self.with(setup) { setup in
            let unread = try setup.hub.watch(Self.question(1)) { true }
            for state in 0..<9 as Range<UInt64> {
                setup.states.change { $0[1] = state }
                try await setup.pass(1, projects: 1)
            }
            let number = setup.evaluations(1).count
            #expect(number >= 9)
            for await event in unread {
                #expect(String(buffer: event.bytes).contains(#""entered":\#(number)"#), "\(String(buffer: event.bytes))")
                break
            }
        }
    }

    // MARK: Limits

    @Test func aProjectHasAThousandViewers() async throws {
        let setup = Setup { _, _, _ in Self.whole }
        var viewers = try (0..<1_000).map { try setup.watch(Self.question(1, $0 % 7)) }
        let refused = #expect(throws: ProtocolError.self) { try setup.watch(Self.question(1)) }
        #expect(refused?.code == .overloaded && refused?.message.contains("1000") == true, "\(refused as Any)")
        #expect(setup.viewersInMetrics == "1000")
        // Another project has a limit of its own.
        viewers.append(try setup.watch(Self.question(2)))
        await viewers[500].leave()
        viewers.append(try setup.watch(Self.question(1)))
        #expect(throws: ProtocolError.self) { try setup.watch(Self.question(1)) }
        for viewer in viewers { await viewer.leave() }
        #expect(setup.viewersInMetrics == "0")
    }

    @Test func aProjectHasAHundredQuestions() async throws {
        let setup = Setup { _, _, _ in Self.whole }
        var viewers = try (0..<100).map { try setup.watch(Self.question(1, $0)) }
        let refused = #expect(throws: ProtocolError.self) { try setup.watch(Self.question(1, 100)) }
        #expect(refused?.code == .overloaded && refused?.message.split { !$0.isNumber }.contains("100") == true, "\(refused as Any)")
        // A second viewer of a question adds none.
        viewers.append(try setup.watch(Self.question(1, 42)))
        viewers.append(try setup.watch(Self.question(2, 100)))
        await viewers[42].leave()
        #expect(throws: ProtocolError.self) { try setup.watch(Self.question(1, 100)) }
        await viewers[43].leave()
        viewers.append(try setup.watch(Self.question(1, 100)))
        for viewer in viewers { await viewer.leave() }
        #expect(setup.viewersInMetrics == "0")
    }

    /// The first project has a hundred questions, none of which ever ends.
    @Test func aProjectWhoseEvaluationsHangHoldsUpNoOther() async throws {
        let setup = Setup { question, _, time in
            if question.project == 1 { await time.sleep(.seconds(1_000_000)) }
            return Self.whole
        }
        try await Self.with(setup) { setup in
            let hanging = try (0..<100).map { try setup.watch(Self.question(1, $0)) }
            try await setup.pass(3, projects: 1)
            for project in 2...5 as ClosedRange<UInt32> {
                let viewer = try setup.watch(Self.question(project))
                try await setup.pass(1, projects: Int(project))
                try await viewer.gets(["report"])
            }
            #expect(setup.evaluations(1).count == 1 && hanging.allSatisfy { $0.names.isEmpty })
        }
    }

    @Test func twoEvaluationsRunAtATimeAndOneOfAProject() async throws {
        let now = Shared((running: [UInt32: Int](), most: 0, mostOfOne: 0))
        let setup = Setup { question, _, time in
            now.change {
                $0.running[question.project, default: 0] += 1
                $0.most = max($0.most, $0.running.values.reduce(0, +))
                $0.mostOfOne = max($0.mostOfOne, $0.running[question.project] ?? 0)
            }
            await time.sleep(.milliseconds(500))
            now.change { $0.running[question.project, default: 0] -= 1 }
            return Self.whole
        }
        try await Self.with(setup) { setup in
            let viewers = try (0..<20).map { try setup.watch(Self.question(UInt32($0 % 5), $0)) }
            setup.time.pass(Self.tick)
            try await eventually {
                // Two are evaluated; the others wait for their turn.
                if setup.time.sleepers >= 4 { setup.time.pass(Self.tick) }
                return viewers.allSatisfy { $0.names.first == "report" }
            }
            #expect(now.value.most == 2 && now.value.mostOfOne == 1)
        }
    }

    // MARK: The end

    @Test func theEndOfTheHubEndsAllStreamsAndTakesNoNewOnes() async throws {
        let setup = Setup { _, _, time in
            await time.sleep(.seconds(1_000_000))
            return Self.whole
        }
        let viewers = try (0..<5).map { try setup.watch(Self.question(UInt32($0 % 2))) }
        try await Self.with(setup, projects: 2) { setup in try await setup.pass(2, projects: 2) }
        for viewer in viewers { try await eventually { viewer.isAtEnd } }
        #expect(throws: ProtocolError.self) { try setup.watch(Self.question(1)) }
        #expect(setup.time.sleepers == 0)
    }
}
