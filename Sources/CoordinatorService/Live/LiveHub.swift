import FunnelModel
import FunnelProtocol
import Logging
import NIOCore
import ServiceHost
import ServiceRuntime
import Synchronization

/// Answers that follow the data. Viewers of the same question share one evaluation; a question is evaluated again once
/// its project has new rows. Projects take turns: two evaluations run at a time, one of a project, and what a project's
/// evaluations take is its own loss. Ticks that pass meanwhile are skipped, not queued.
package final class LiveHub: Sendable {
    package struct Question: Hashable, Sendable {
        package var project: UInt32
        /// Body of a query, encoded anew, so that its layout makes no difference.
        var body: [UInt8]

        package init(project: UInt32, body: [UInt8]) {
            self.project = project
            self.body = body
        }
    }

    /// A server-sent event as it goes out, shared by all who are told it.
    package struct Event: Equatable, Sendable {
        package let bytes: ByteBuffer

        /// - Parameter json: has no line ends in it.
        init(_ name: String, _ json: [UInt8]) { bytes = ByteBuffer(bytes: Array("event: \(name)\ndata: ".utf8) + json + [10, 10]) }

        /// The viewer may look no longer.
        static let end = Event("end", Array("{}".utf8))
    }

    /// What the hub asks of the rest.
    package struct Source: Sendable {
        /// What changes when a project has new rows, when a shard goes or comes, and when a definition is saved.
        var state: @Sendable (UInt32) async -> [UInt64?]
        var evaluate: @Sendable (Question) async throws -> JSONValue

        package init(
            state: @escaping @Sendable (UInt32) async -> [UInt64?], evaluate: @escaping @Sendable (Question) async throws -> JSONValue
        ) {
            self.state = state
            self.evaluate = evaluate
        }
    }

    private struct Viewer {
        var channel: AsyncStream<Event>.Continuation
        var mayLook: @Sendable () -> Bool
    }

    private struct Group {
        var viewers: [UInt64: Viewer] = [:]
        var last: Event?
        /// The last answer without its instant: what viewers need not be told again.
        var shown: JSONValue?
        var state: [UInt64?] = []
        var evaluated: ContinuousClock.Instant?
        /// No evaluation before.
        var rest = ContinuousClock.now
    }

    private struct State {
        var groups: [Question: Group] = [:]
        /// Projects that are followed by a task.
        var followed: Set<UInt32> = []
        var nextViewer: UInt64 = 0
        var isClosed = false
    }

    static let tick = Duration.milliseconds(250)
    /// Of an evaluation: a shard that hangs holds up the project's other questions for no longer.
    static let deadline = Duration.seconds(5)
    /// Of an answer: every viewer who reads slowly holds one.
    private static let eventMax = 1 << 20
    /// After so long an answer is evaluated without new rows: windows close as time goes by.
    private static let staleAfter = Duration.seconds(30)
    /// After so long a viewer is told the same again, which also finds those who went away.
    private static let repeatAfter = Duration.seconds(5)
    /// After so long no further question of a project is begun without a look at which they are.
    private static let roundMax = Duration.seconds(1)
    private static let restAfterFailure = Duration.seconds(1)
    /// Of one project.
    static let viewersMax = 1_000
    static let questionsMax = 100

    private let source: Source
    private let turns = EvaluationTurns(running: 2)
    private let state = Mutex(State())
    private let evaluations: Counter
    private let logger: Logger

    package init(_ source: Source, metrics: Metrics, logger: Logger) {
        self.source = source
        self.logger = logger
        evaluations = metrics.counter("sluice_live_evaluations_total", "evaluations for live viewers")
        metrics.gauge("sluice_live_viewers", "viewers of live answers") { [weak self] in Double(self?.viewers ?? 0) }
    }

    private var viewers: Int { state.withLock { $0.groups.values.reduce(0) { $0 + $1.viewers.count } } }

    /// - Parameter mayLook: asked now and then; once false, the stream ends.
    /// - Returns: events, of which a slow reader sees the newest.
    package func watch(_ question: Question, mayLook: @escaping @Sendable () -> Bool) throws(ProtocolError) -> AsyncStream<Event> {
        let (stream, channel) = AsyncStream.makeStream(of: Event.self, bufferingPolicy: .bufferingNewest(1))
        let number = state.withLock { state -> UInt64? in
            let own = state.groups.filter { $0.key.project == question.project }
            guard !state.isClosed, own.values.reduce(0, { $0 + $1.viewers.count }) < Self.viewersMax,
                own[question] != nil || own.count < Self.questionsMax
            else { return nil }
            state.nextViewer += 1
            if let last = state.groups[question]?.last { channel.yield(last) }
            state.groups[question, default: Group()].viewers[state.nextViewer] = Viewer(channel: channel, mayLook: mayLook)
            return state.nextViewer
        }
        guard let number else {
            throw ProtocolError(
                .overloaded, "\(Self.viewersMax) viewers or \(Self.questionsMax) questions of the project are being followed already")
        }
        channel.onTermination = { [weak self] _ in self?.leave(question, number) }
        return stream
    }

    private func leave(_ question: Question, _ viewer: UInt64) {
        state.withLock { state in
            state.groups[question]?.viewers[viewer] = nil
            if state.groups[question]?.viewers.isEmpty == true { state.groups[question] = nil }
        }
    }

    /// Until cancelled.
    package func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.keepViewers() }
            while !Task.isCancelled {
                for project in takeUnfollowed() { group.addTask { await self.follow(project) } }
                try? await Task.sleep(for: Self.tick)
            }
        }
        close()
    }

    /// Projects that are looked at and have no task yet.
    private func takeUnfollowed() -> Set<UInt32> {
        state.withLock { state in
            let new = Set(state.groups.keys.map(\.project)).subtracting(state.followed)
            state.followed.formUnion(new)
            return new
        }
    }

    /// Until nobody looks at the project any more.
    private func follow(_ project: UInt32) async {
        while let questions = questions(of: project), !Task.isCancelled {
            let start = ContinuousClock.now
            let now = await source.state(project)
            // New ones first, then those whose evaluation is longest ago.
            let due = questions.filter { isDue($0.value, now) }.map { ($0.key, $0.value.evaluated.map { start - $0 } ?? .seconds(1 << 30)) }
            for (question, _) in due.sorted(by: { $0.1 > $1.1 }) {
                if Task.isCancelled { return }
                // What is new meanwhile does not wait for a whole round.
                if ContinuousClock.now - start > Self.roundMax { break }
                await turns.run { await evaluate(question, now) }
            }
            try? await Task.sleep(for: Self.tick)
        }
    }

    /// Nil, and the project's task must end, where there are none.
    private func questions(of project: UInt32) -> [Question: Group]? {
        state.withLock { state in
            let own = state.groups.filter { $0.key.project == project }
            if own.isEmpty { state.followed.remove(project) }
            return own.isEmpty ? nil : own
        }
    }

    /// Apart from evaluations, which may take long.
    private func keepViewers() async {
        var told = ContinuousClock.now
        while !Task.isCancelled {
            try? await Task.sleep(for: Self.tick)
            endUnwanted()
            if ContinuousClock.now - told > Self.repeatAfter {
                told = .now
                tellAgain()
            }
        }
    }

    private func isDue(_ group: Group, _ now: [UInt64?]) -> Bool {
        guard let evaluated = group.evaluated else { return true }
        if ContinuousClock.now < group.rest { return false }
        return group.state != now || ContinuousClock.now - evaluated > Self.staleAfter
    }

    private func evaluate(_ question: Question, _ now: [UInt64?]) async {
        let start = ContinuousClock.now
        evaluations.add(1)
        var event: Event
        var shown: JSONValue?
        do {
            let answer = try await source.evaluate(question)
            let json = answer.encoded
            guard json.count <= Self.eventMax else {
                throw ProtocolError(.tooLarge, "the answer has \(json.count) bytes, one that is followed at most \(Self.eventMax)")
            }
            event = Event("report", json)
            shown = .object((answer.asObject ?? []).filter { $0.key != "as_of" })
        } catch {
            if Task.isCancelled { return }
            let problem = ProtocolError(of: error)
            if problem.code == .unknownError { logger.error("live evaluation failed", metadata: ["error": "\(words(error))"]) }
            event = Event("problem", problem.problem.encoded)
        }
        let end = ContinuousClock.now
        let isWhole = shown?["completeness"]?["missing"] == .array([])
        state.withLock { state in
            guard var group = state.groups[question] else { return }
            let isNews = shown == nil ? group.last != event : group.shown != shown
            group.last = event
            group.shown = shown
            // What failed, or lacks a shard, may be whole the next time.
            group.state = isWhole ? now : []
            group.evaluated = end
            // Questions that take long get a fifth of the time at most; what took long to fail may be quick the next time.
            group.rest = end + (isWhole ? (end - start) * 4 : Self.restAfterFailure)
            state.groups[question] = group
            if isNews { for viewer in group.viewers.values { viewer.channel.yield(event) } }
        }
    }

    private func tellAgain() {
        for group in state.withLock({ $0.groups }).values {
            guard let last = group.last else { continue }
            for viewer in group.viewers.values { viewer.channel.yield(last) }
        }
    }

    private func endUnwanted() {
        for group in state.withLock({ $0.groups }).values {
            for viewer in group.viewers.values where !viewer.mayLook() {
                viewer.channel.yield(.end)
                viewer.channel.finish()
            }
        }
    }

    /// Ends all streams; there will be no others.
    private func close() {
        let groups = state.withLock { state in
            state.isClosed = true
            return state.groups
        }
        for group in groups.values { for viewer in group.viewers.values { viewer.channel.finish() } }
    }
}
