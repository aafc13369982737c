import FunnelModel
import FunnelProtocol
import Logging
import NIOCore
import ServiceHost
import ServiceRuntime
import Synchronization

/// Live answers. A question is evaluated again when its project has new rows; viewers of the same question share one evaluation.
/// Two evaluations run at a time, one per project, so that slow evaluations of a project delay only itself. Ticks that pass
/// meanwhile are skipped, not queued.
package final class LiveHub: Sendable {
    /// A query that viewers follow.
    package struct Question: Hashable, Sendable {
        package var project: UInt32
        /// The query document, encoded anew, so that white space makes no difference.
        var body: [UInt8]

        package init(project: UInt32, body: [UInt8]) {
            self.project = project
            self.body = body
        }
    }

    /// An encoded server-sent event, shared by all viewers who get it.
    package struct Event: Equatable, Sendable {
        package let bytes: ByteBuffer

        /// `json` must have no line ends.
        init(_ name: String, _ json: [UInt8]) { bytes = ByteBuffer(bytes: Array("event: \(name)\ndata: ".utf8) + json + [10, 10]) }

        /// Ends the stream of a viewer whose session has ended.
        static let end = Event("end", Array("{}".utf8))
    }

    /// The hub's dependencies.
    package struct Source: Sendable {
        /// By project, a state that changes when it has new rows, when a shard goes down or comes back, and when a definition is
        /// saved.
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
        /// The last answer without `as_of`. An answer that equals it is not sent.
        var shown: JSONValue?
        var state: [UInt64?] = []
        var evaluated: ContinuousClock.Instant?
        /// Earliest time of the next evaluation; nil before the first.
        var rest: ContinuousClock.Instant?
    }

    private struct State {
        var groups: [Question: Group] = [:]
        /// Projects that are followed by a task.
        var followed: Set<UInt32> = []
        var nextViewer: UInt64 = 0
        var isClosed = false
    }

    static let tick = Duration.milliseconds(250)
    /// Max time of an evaluation, so that a shard that hangs delays the project's other questions no longer.
    static let deadline = Duration.seconds(5)
    /// Max bytes of an answer, since every viewer who reads slowly holds one.
    private static let eventMax = 1 << 20
    /// Time after which a question is evaluated without new rows, since windows close as time passes.
    private static let staleAfter = Duration.seconds(30)
    /// Time after which viewers get the last answer again, which also detects those who have gone.
    private static let repeatAfter = Duration.seconds(5)
    /// Max time of a round; then the project's questions are read anew.
    private static let roundMax = Duration.seconds(1)
    private static let restAfterFailure = Duration.seconds(1)
    /// Limits of one project.
    static let viewersMax = 1_000
    static let questionsMax = 100

    private let source: Source
    private let turns = EvaluationTurns(running: 2)
    private let state = Mutex(State())
    private let evaluations: Counter
    private let logger: Logger
    private let now: @Sendable () -> ContinuousClock.Instant
    private let sleep: @Sendable (Duration) async -> Void

    /// `sleep` must return early if its task is cancelled.
    package init(
        _ source: Source, metrics: Metrics, logger: Logger, now: @escaping @Sendable () -> ContinuousClock.Instant = { .now },
        sleep: @escaping @Sendable (Duration) async -> Void = { try? await Task.sleep(for: $0) }
    ) {
        self.source = source
        self.logger = logger
        self.now = now
        self.sleep = sleep
        evaluations = metrics.counter("sluice_live_evaluations_total", "evaluations of queries for live viewers")
        metrics.gauge("sluice_live_viewers", "live viewers now") { [weak self] in Double(self?.viewers ?? 0) }
    }

    private var viewers: Int { state.withLock { $0.groups.values.reduce(0) { $0 + $1.viewers.count } } }

    /// Adds a viewer. Throws `.overloaded` above the limits of the project.
    /// - Parameter mayLook: called now and then; when it returns false, the stream ends.
    /// - Returns: the events; a slow reader gets only the newest.
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
                .overloaded, "the project already has \(Self.viewersMax) live viewers or \(Self.questionsMax) live queries, the limit")
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

    /// Evaluates the questions of all projects until cancelled; then ends all streams.
    package func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.keepViewers() }
            while !Task.isCancelled {
                for project in takeUnfollowed() { group.addTask { await self.follow(project) } }
                await sleep(Self.tick)
            }
        }
        close()
    }

    /// Projects with viewers that had no task yet; they count as followed now.
    private func takeUnfollowed() -> Set<UInt32> {
        state.withLock { state in
            let new = Set(state.groups.keys.map(\.project)).subtracting(state.followed)
            state.followed.formUnion(new)
            return new
        }
    }

    /// Evaluates a project's questions until it has no viewers.
    private func follow(_ project: UInt32) async {
        while let questions = questions(of: project), !Task.isCancelled {
            let start = now()
            let state = await source.state(project)
            // New ones first, then those whose evaluation is longest ago.
            let due = questions.filter { isDue($0.value, state) }
                .map { ($0.key, $0.value.evaluated.map { start - $0 } ?? .seconds(1 << 30)) }
            for (question, _) in due.sorted(by: { $0.1 > $1.1 }) {
                if Task.isCancelled { return }
                // New questions need not wait for a whole round.
                if now() - start > Self.roundMax { break }
                await turns.run { await evaluate(question, state) }
            }
            await sleep(Self.tick)
        }
    }

    /// The project's questions. Nil if there are none; then its task must end.
    private func questions(of project: UInt32) -> [Question: Group]? {
        state.withLock { state in
            let own = state.groups.filter { $0.key.project == project }
            if own.isEmpty { state.followed.remove(project) }
            return own.isEmpty ? nil : own
        }
    }

    /// Ends streams and repeats answers; separate from evaluations, which may take long.
    private func keepViewers() async {
        var told = now()
        while !Task.isCancelled {
            await sleep(Self.tick)
            endUnwanted()
            if now() - told > Self.repeatAfter {
                told = now()
                tellAgain()
            }
        }
    }

    private func isDue(_ group: Group, _ state: [UInt64?]) -> Bool {
        guard let evaluated = group.evaluated else { return true }
        if let rest = group.rest, now() < rest { return false }
        return group.state != state || now() - evaluated > Self.staleAfter
    }

    private func evaluate(_ question: Question, _ seen: [UInt64?]) async {
        let start = now()
        evaluations.add(1)
        var event: Event
        var shown: JSONValue?
        do {
            let answer = try await source.evaluate(question)
            let json = answer.encode()
            guard json.count <= Self.eventMax else {
                throw ProtocolError(.tooLarge, "the answer has \(json.count) bytes; the limit of a live answer is \(Self.eventMax)")
            }
            event = Event("report", json)
            shown = .object((answer.asObject ?? []).filter { $0.key != "as_of" })
        } catch {
            if Task.isCancelled { return }
            let problem = ProtocolError(of: error)
            if problem.code == .unknownError { logger.error("live evaluation failed", metadata: ["error": "\(words(error))"]) }
            event = Event("problem", problem.problem.encode())
        }
        let end = now()
        let isWhole = shown?["completeness"]?["missing"] == .array([])
        state.withLock { state in
            guard var group = state.groups[question] else { return }
            let isNews = shown == nil ? group.last != event : group.shown != shown
            group.last = event
            group.shown = shown
            // A failed or partial evaluation is repeated without new rows.
            group.state = isWhole ? seen : []
            group.evaluated = end
            // A question is evaluated a fifth of the time at most. After a failure the pause is fixed, as the next try may be
            // quick.
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

    /// Ends all streams and refuses new ones.
    private func close() {
        let groups = state.withLock { state in
            state.isClosed = true
            return state.groups
        }
        for group in groups.values { for viewer in group.viewers.values { viewer.channel.finish() } }
    }
}
