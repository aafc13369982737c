import FunnelModel
import FunnelProtocol
import Logging
import Metadata
import Notifications
import ServiceRuntime

/// The scheduled reports of all projects, what became of their times, and the answers that deliveries need. Changes run one at a time.
package final class ReportBook: Sendable {
    package static let perProject = 100
    /// Answers that are kept of one report, and for how long. Deliveries are given up after 24 hours.
    private static let answers = 5
    private static let answerMicroseconds: Int64 = 25 * 3_600_000_000
    private static let answerPrefix = "report-answer/"

    private let documents: SavedDocuments
    private let store: any MetadataStore
    private let logger: Logger
    private let turns = EvaluationTurns(running: 1)

    package init(_ store: any MetadataStore, logger: Logger) {
        self.store = store
        self.logger = logger
        documents = SavedDocuments(store, noun: "report", prefix: "report/", limit: Self.perProject)
    }

    // MARK: - Reading

    /// Nil if there is none. Throws `.invalidQuery` if this release cannot read it.
    package func get(_ id: String, project: UInt32) async throws -> ReportEntry? {
        guard let entry = try await documents.get(id, project: project) else { return nil }
        return try await read(entry, id, project)
    }

    package func list(project: UInt32) async throws -> [ReportEntry] {
        var found: [ReportEntry] = []
        for (id, entry) in try await documents.list(project: project) { await add(&found, entry, id, project) }
        return found
    }

    /// Of all projects.
    package func all() async throws -> [ReportEntry] {
        var found: [ReportEntry] = []
        for (project, id, entry) in try await documents.all() { await add(&found, entry, id, project) }
        return found
    }

    private func add(_ found: inout [ReportEntry], _ entry: Versioned, _ id: String, _ project: UInt32) async {
        do {
            found.append(try await read(entry, id, project))
        } catch {
            logger.warning(
                "a report can't be read and is left out",
                metadata: ["project": "\(project)", "report": "\(id)", "error": "\(words(error))"])
        }
    }

    private func read(_ entry: Versioned, _ id: String, _ project: UInt32) async throws -> ReportEntry {
        let report: ScheduledReport
        do {
            report = try ScheduledReport.parseWithQuestion(try JSONParser.parse(entry.value))
        } catch {
            throw ProtocolError(
                .invalidQuery, "report \"\(id)\" was saved by another version, and can't be read by this one: \(words(error))")
        }
        let stored = try await store.get(stateKey(id, project))
        // Each report has a state; without one that can be read, nothing is sent again.
        let state = stored.flatMap { try? JSONParser.parse($0.value) }.flatMap { ReportEntry.State($0) }
        return ReportEntry(project: project, report: report, revision: entry.revision, state: state ?? .init(handled: Int64.max))
    }

    // MARK: - Changes

    /// Saves a report. Times before `now` are not sent if it is new, or has another schedule than before.
    package func put(
        _ report: ScheduledReport, if precondition: FunnelPrecondition = .init(), project: UInt32, now: Int64
    ) async throws -> (entry: ReportEntry, created: Bool) {
        try await turns.run {
            let (_, created) = try await documents.put(report.id, if: precondition, project: project) { old in
                let value = report.json.encode()
                var state = ReportEntry.State(handled: now)
                if let old, let entry = try? await read(old, report.id, project), entry.state.handled < Int64.max {
                    if entry.report.schedule == report.schedule { return (value, []) }
                    state.sent = entry.state.sent
                }
                return (value, [MetadataWrite(key: stateKey(report.id, project), expected: nil, value: state.json.encode())])
            }
            guard let entry = try await get(report.id, project: project) else { throw AccessRefusal.unknownDocument(documents.noun) }
            return (entry, created)
        }
    }

    /// Deletes a report. Notices that wait for delivery go on without its answers.
    package func delete(_ id: String, if precondition: FunnelPrecondition = .init(), project: UInt32) async throws {
        try await turns.run {
            let answers = try await store.list(prefix: answerKey(id, project, time: "")).map(\.key)
            try await documents.delete(id, if: precondition, project: project) { _ in
                ([stateKey(id, project)] + answers).map { MetadataWrite(key: $0, expected: nil, value: nil) }
            }
        }
    }

    /// Stores what became of a time, unless the report was changed meanwhile.
    func note(_ entry: ReportEntry, _ state: ReportEntry.State) async throws {
        try await turns.run {
            guard let saved = try await documents.get(entry.report.id, project: entry.project), saved.revision == entry.revision else {
                return
            }
            let key = stateKey(entry.report.id, entry.project)
            _ = try await store.compareAndSet(key, expected: nil, value: state.json.encode())
        }
    }

    // MARK: - Answers

    /// The answer for a time if there is one already.
    func answer(_ entry: ReportEntry, time: Int64) async throws -> ReportAnswer? {
        try await Self.answer(answerKey(entry, time), in: store)
    }

    /// Keeps the answer for a time, and removes those that no delivery needs.
    func keep(_ answer: ReportAnswer, _ entry: ReportEntry, time: Int64, now: Int64) async throws {
        try await turns.run {
            let id = entry.report.id
            guard try await documents.get(id, project: entry.project) != nil else { throw AccessRefusal.unknownDocument(documents.noun) }
            let prefix = answerKey(id, entry.project, time: "")
            let new = answerKey(entry, time)
            let others = try await store.list(prefix: prefix).map(\.key).filter { $0 != new }
            let young = others.filter { key in
                (try? Timestamp.parse(ByteString(String(key.dropFirst(prefix.count))))).map { now - $0 < Self.answerMicroseconds } ?? false
            }
            // Keys sort by time.
            let leaving = Set(others).subtracting(young.suffix(Self.answers - 1))
            _ = try await store.compareAndSet(
                leaving.map { MetadataWrite(key: $0, expected: nil, value: nil) }
                    + [MetadataWrite(key: new, expected: nil, value: answer.json.encode())])
        }
    }

    /// What a notice carries besides its text; nil if it carries nothing, or its answer is not kept any more.
    static func content(of notice: Notice, in store: any MetadataStore) async throws -> NoticeContent? {
        guard let key = notice.content, key.hasPrefix(answerPrefix) else { return nil }
        return try await answer(key, in: store)?.content
    }

    private static func answer(_ key: String, in store: any MetadataStore) async throws -> ReportAnswer? {
        guard let stored = try await store.get(key), let value = try? JSONParser.parse(stored.value) else { return nil }
        return ReportAnswer(value)
    }

    func answerKey(_ entry: ReportEntry, _ time: Int64) -> String {
        answerKey(entry.report.id, entry.project, time: Timestamp.format(time))
    }

    private func answerKey(_ id: String, _ project: UInt32, time: String) -> String { "\(Self.answerPrefix)\(project)/\(id)/\(time)" }
    private func stateKey(_ id: String, _ project: UInt32) -> String { "report-state/\(project)/\(id)" }
}
