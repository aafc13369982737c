import FunnelAlerts
import FunnelModel
import FunnelProtocol
import Logging
import Metadata
import RPC
import ServiceRuntime
import Synchronization

/// Evaluates the alert rules of all projects by schedule. Rules that ask the same share the answer; projects are evaluated beside each
/// other, with two queries at a time in all.
package final class AlertEvaluator: Sendable {
    /// What the evaluator works with.
    package struct Source: Sendable {
        var funnel: @Sendable (ByteString, UInt32) async throws -> FunnelDefinition?
        var channels: @Sendable (UInt32) async throws -> Set<ByteString>
        /// The answer of a funnel now: of the body of `POST /v1/query`.
        var answer: @Sendable ([UInt8], UInt32) async throws -> JSONValue

        package init(
            funnel: @escaping @Sendable (ByteString, UInt32) async throws -> FunnelDefinition?,
            channels: @escaping @Sendable (UInt32) async throws -> Set<ByteString>,
            answer: @escaping @Sendable ([UInt8], UInt32) async throws -> JSONValue
        ) {
            self.funnel = funnel
            self.channels = channels
            self.answer = answer
        }
    }

    private struct Figures {
        var rules = 0
        var firing = 0
        /// How long the period that waits longest waits for its evaluation, in microseconds.
        var lag: Int64 = 0
        /// How long the evaluation took.
        var duration = Duration.zero

        mutating func add(_ other: Figures) {
            rules += other.rules
            firing += other.firing
            lag = max(lag, other.lag)
        }
    }

    /// Questions of one dry run.
    static let dryQuestions = 3_000
    private static let queries = 2

    let book: AlertBook
    private let source: Source
    private let turns = EvaluationTurns(running: queries)
    private let figures = Mutex(Figures())
    private let evaluations: Counter
    private let failures: Counter
    private let limit = LogLimit(lines: 5)
    private let logger: Logger

    package init(_ book: AlertBook, _ source: Source, metrics: Metrics, logger: Logger) {
        self.book = book
        self.source = source
        self.logger = logger
        evaluations = metrics.counter("sluice_alert_evaluations_total", "periods of alert rules that were evaluated")
        failures = metrics.counter("sluice_alert_query_failures_total", "queries of alert rules that got no answer; they are asked again")
        metrics.gauge("sluice_alert_rules", "alert rules of all projects") { [self] in Double(figures.withLock { $0.rules }) }
        metrics.gauge("sluice_alert_rules_firing", "alert rules that fire") { [self] in Double(figures.withLock { $0.firing }) }
        metrics.gauge("sluice_alert_lag_seconds", "how long the period that waits longest for its evaluation has been due") { [self] in
            Double(figures.withLock { $0.lag }) / 1_000_000
        }
        metrics.gauge("sluice_alert_evaluation_seconds", "how long the last evaluation of all rules took") { [self] in
            figures.withLock { $0.duration } / .seconds(1)
        }
    }

    /// Until cancelled: evaluates all rules every `period`.
    package func run(every period: Duration, clock: @Sendable () -> Int64 = { WallClock.now() }) async {
        while !Task.isCancelled {
            let start = ContinuousClock.now
            await evaluate(now: clock())
            try? await Task.sleep(until: start + period, clock: .continuous)
        }
    }

    /// Evaluates what is due.
    package func evaluate(now: Int64) async {
        let start = ContinuousClock.now
        let entries: [UInt32: [AlertEntry]]
        do {
            entries = try await book.all()
        } catch  where Task.isCancelled {
            return
        } catch {
            limit.log(logger, .error, "alert rules", "alert rules could not be read", ["error": "\(words(error))"])
            return
        }
        var found = await withTaskGroup(of: Figures.self) { group in
            for (project, entries) in entries { group.addTask { await self.evaluate(entries, project, now: now) } }
            return await group.reduce(into: Figures()) { $0.add($1) }
        }
        found.duration = ContinuousClock.now - start
        figures.withLock { [found] in $0 = found }
    }

    private func evaluate(_ entries: [AlertEntry], _ project: UInt32, now: Int64) async -> Figures {
        let significant = entries.count(where: \.isSignificanceTest)
        var plans: [(entry: AlertEntry, plan: AlertPlan)] = []
        for entry in entries {
            await noting(entry) {
                switch try await plan(entry.rule, project) {
                case .success(let plan): plans.append((entry, plan))
                case .failure(let invalid): try await book.fail(entry, invalid, now: now)
                }
            }
        }
        // One period of each rule a round, so that no more answers are held than that takes, also after a long time without evaluation.
        for _ in 0..<AlertLimits.latePeriods {
            let due = plans.map { entry, plan in plan.due(after: entry.state.evaluated, now: now).first }
            var questions: Set<AlertQuestion> = []
            for (period, (_, plan)) in zip(due, plans) {
                guard let period else { continue }
                for period in [period] + plan.baseline(of: period) { questions.insert(plan.question(period)) }
            }
            let answers = await ask(questions, project)
            var isDone = true
            for i in plans.indices {
                let (entry, plan) = plans[i]
                await noting(entry) {
                    // Quiet hours and cool-downs end without an evaluation.
                    if try await book.advance(entry, plan, now: now, significantRules: significant, answers: answers) {
                        evaluations.add()
                        isDone = false
                    }
                    if due[i] != nil, let fresh = try await book.get(entry.rule.id.string, project: project),
                        fresh.revision == entry.revision
                    {
                        plans[i].entry = fresh
                    }
                }
            }
            if isDone || Task.isCancelled { break }
        }
        let lags = plans.compactMap { entry, plan in
            plan.due(after: entry.state.evaluated, now: now).first.map { now - $0.upperBound - plan.closing }
        }
        return Figures(rules: entries.count, firing: plans.count { $0.entry.status == "firing" }, lag: lags.max() ?? 0)
    }

    private func noting(_ entry: AlertEntry, _ body: () async throws -> Void) async {
        do {
            try await body()
        } catch  where Task.isCancelled {
        } catch {
            limit.log(
                logger, .error, "rule \(entry.project)/\(entry.rule.id.string)", "an alert rule could not be evaluated; it is tried again",
                ["project": "\(entry.project)", "rule": "\(entry.rule.id.string)", "error": "\(words(error))"])
        }
    }

    /// The plan of a rule, or why it has none.
    private func plan(_ rule: AlertRule, _ project: UInt32) async throws -> Result<AlertPlan, AlertPlan.Invalid> {
        let funnel = try await source.funnel(rule.funnelID, project)
        let channels = rule.channels.isEmpty ? [] : try await source.channels(project)
        return Result { () throws(AlertPlan.Invalid) in try AlertPlan(rule, funnel: funnel, channels: channels) }
    }

    /// The answers that can be had now.
    private func ask(_ questions: Set<AlertQuestion>, _ project: UInt32) async -> [AlertQuestion: AlertAnswer] {
        await withTaskGroup(of: (AlertQuestion, AlertAnswer?).self) { group in
            for question in questions { group.addTask { (question, await self.ask(question, project)) } }
            return await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
    }

    private func ask(_ question: AlertQuestion, _ project: UInt32) async -> AlertAnswer? {
        await turns.run {
            guard !Task.isCancelled else { return nil }
            do {
                return AlertAnswer(report: try await source.answer(question.body, project))
            } catch is CancellationError {
                return nil
            } catch {
                failures.add()
                limit.log(
                    logger, .warning, "question \(project)", "a query of an alert rule got no answer; it is asked again",
                    ["project": "\(project)", "error": "\(words(error))"])
                return nil
            }
        }
    }

    // MARK: - For people

    /// Throws if the rule cannot be evaluated: it names a funnel, step or channel that does not exist.
    func check(_ rule: AlertRule, project: UInt32) async throws {
        var faults: [FieldFault] = []
        let known = rule.channels.isEmpty ? [] : try await source.channels(project)
        for (i, channel) in rule.channels.enumerated() where !known.contains(channel) {
            faults.append(FieldFault("channels[\(i)]", "names the channel \(channel.string), which does not exist"))
        }
        do {
            _ = try await checkedPlan(rule, project)
        } catch let error as InvalidDocument {
            faults += error.faults
        }
        if !faults.isEmpty { throw InvalidDocument(faults) }
    }

    /// The plan of a rule, whose channels need not exist.
    private func checkedPlan(_ rule: AlertRule, _ project: UInt32) async throws -> AlertPlan {
        let funnel = try await source.funnel(rule.funnelID, project)
        do throws(AlertPlan.Invalid) {
            return try AlertPlan(rule, funnel: funnel, channels: Set(rule.channels))
        } catch {
            throw InvalidDocument([FieldFault(error.field.string, error.reason)])
        }
    }

    /// What a rule would have done in a range of the past.
    func dryRun(_ request: AlertDryRunRequest, project: UInt32) async throws -> JSONValue {
        let plan = try await checkedPlan(request.rule, project)
        // A period that is not due yet would be judged before the windows of its users close.
        let last = min(request.range.upperBound, request.now - plan.closing)
        var range = min(request.range.lowerBound, last)..<last
        var questions = AlertDryRun.questions(plan, over: range)
        while !request.hasStart, questions.count > Self.dryQuestions {
            range = range.upperBound - (range.upperBound - range.lowerBound) / 2..<range.upperBound
            questions = AlertDryRun.questions(plan, over: range)
        }
        guard questions.count <= Self.dryQuestions else {
            let reason = "takes \(questions.count) queries, the limit is \(Self.dryQuestions): ask for a shorter range, or a longer period"
            throw InvalidDocument([FieldFault("start", reason)])
        }
        var answers: [AlertQuestion: AlertAnswer] = [:]
        for start in stride(from: 0, to: questions.count, by: Self.queries) {
            try Task.checkCancellation()
            let part = questions[start..<min(questions.count, start + Self.queries)]
            answers.merge(await ask(Set(part), project)) { $1 }
        }
        let others = try await book.list(project: project).filter { $0.rule.id != request.rule.id }
        let significant = others.count(where: \.isSignificanceTest) + (request.rule.condition.kind == .significantChange ? 1 : 0)
        let run = AlertDryRun(plan, over: range, significantRules: significant) { answers[$0] }
        return run.json
    }
}

extension AlertDryRun {
    fileprivate var json: JSONValue {
        func time(_ time: Int64?) -> JSONValue { time.map { .text(Timestamp.format($0)) } ?? .null }
        return [
            "text": .text(text), "periods": .count(periods), "missing": .count(missing),
            "firings": .array(
                firings.map { ["group": $0.group.json, "start": time($0.start), "end": time($0.end), "text": .text($0.text)] }),
            "notifications": .array(
                notifications.flatMap(\.items).map {
                    ["key": .text($0.key), "kind": .text($0.kind.rawValue), "group": $0.group.json, "text": .text($0.text)]
                }),
            "points": .array(
                points.map { point in
                    [
                        "start": time(point.period.lowerBound), "end": time(point.period.upperBound),
                        "values": .array(
                            point.values.sorted { $0.key < $1.key }.map { ["group": $0.key.json, "value": .double($0.value)] }),
                    ]
                }),
        ]
    }
}
