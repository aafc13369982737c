import CoordinatorService
import FunnelModel
import FunnelProtocol
import Logging
import NIOCore
import ServiceRuntime
import Synchronization
import Testing

/// Who is evaluated when, with shards that hang and answers that take long.
struct LiveHubTests {
    private static let whole: JSONValue = ["entered": 1, "completeness": ["missing": []]]

    private static func question(_ project: UInt32, _ number: Int = 0) -> LiveHub.Question {
        .init(project: project, body: Array("\(number)".utf8))
    }

    /// Runs a hub while `body` does.
    private func with(_ source: LiveHub.Source, _ body: @Sendable @escaping (LiveHub) async throws -> Void) async throws {
        let hub = LiveHub(source, metrics: Metrics(), logger: Logger(label: "test"))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await hub.run() }
            try await body(hub)
            group.cancelAll()
            try await group.waitForAll()
        }
    }

    private static func name(_ event: LiveHub.Event?) -> String {
        event.map { String(String(buffer: $0.bytes).dropFirst("event: ".count).prefix { $0 != "\n" }) } ?? "none"
    }

    /// The first project has a hundred questions, none of which ever ends.
    @Test func aProjectWhoseEvaluationsHangHoldsUpNoOther() async throws {
        let source = LiveHub.Source { _ in
            [1]
        } evaluate: { question in
            if question.project == 1 { try await Task.sleep(for: .seconds(600)) }
            return Self.whole
        }
        try await with(source) { hub in
            let hanging = try (0..<100).map { try hub.watch(Self.question(1, $0)) { true } }
            try await Task.sleep(for: .milliseconds(600))
            for project in 2...5 as ClosedRange<UInt32> {
                for await event in try hub.watch(Self.question(project), mayLook: { true }) {
                    #expect(Self.name(event) == "report")
                    break
                }
            }
            #expect(hanging.count == 100)
        }
    }

    /// What took its whole time to fail is asked again a second later, not after a fifth of the time.
    @Test func whatFailedIsEvaluatedAgainSoon() async throws {
        let tried = Mutex(0)
        let source = LiveHub.Source { _ in
            [1]
        } evaluate: { _ in
            let first = tried.withLock {
                $0 += 1
                return $0 == 1
            }
            guard first else { return Self.whole }
            try await Task.sleep(for: .seconds(3))
            throw ProtocolError(.deadlineExceeded, "no answer from shard-1", shards: ["shard-1"])
        }
        try await with(source) { hub in
            var names: [String] = []
            for await event in try hub.watch(Self.question(1), mayLook: { true }) {
                names.append(Self.name(event))
                if names.last == "report" { break }
            }
            #expect(names.first == "problem" && names.last == "report")
        }
    }

    /// With some users left out an answer is not exact, and whole all the same.
    @Test func anAnswerWithoutHeavyUsersIsWhole() async throws {
        let evaluations = Mutex(0)
        let source = LiveHub.Source { _ in
            [1]
        } evaluate: { _ in
            evaluations.withLock { $0 += 1 }
            return ["completeness": ["missing": [], "exact": false, "heavy_users": 1]]
        }
        try await with(source) { hub in
            let events = try hub.watch(Self.question(1)) { true }
            for _ in 0..<600 where evaluations.withLock({ $0 }) == 0 { try await Task.sleep(for: .milliseconds(100)) }
            // Several ticks, and longer than the rest after a failure.
            try await Task.sleep(for: .seconds(3))
            #expect(evaluations.withLock { $0 } == 1)
            _ = events
        }
    }
}
