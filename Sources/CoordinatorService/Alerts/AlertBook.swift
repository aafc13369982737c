import FunnelAlerts
import FunnelModel
import FunnelProtocol
import Logging
import Metadata
import Notifications
import ServiceRuntime

/// The alert rules of all projects with their states and histories, and the only one who changes them. Changes run one at a time, so that
/// an evaluation never goes on with a rule that is replaced meanwhile.
///
/// Notices are given to the desk before the state that caused them is stored. If the process ends between the two, the next evaluation
/// makes notices with the same keys, which the outbox takes once.
package final class AlertBook: Sendable {
    package static let perProject = 500

    private let documents: SavedDocuments
    private let store: any MetadataStore
    private let desk: NoticeDesk
    private let publicURL: String
    private let logger: Logger
    private let turns = EvaluationTurns(running: 1)

    package init(_ store: any MetadataStore, desk: NoticeDesk, publicURL: String = "", logger: Logger) {
        self.store = store
        self.desk = desk
        self.publicURL = publicURL
        self.logger = logger
        documents = SavedDocuments(store, noun: "alert rule", prefix: "alert/", limit: Self.perProject)
    }

    // MARK: - Reading

    /// Nil if there is none. Throws `.invalidQuery` if this release cannot read it.
    package func get(_ id: String, project: UInt32) async throws -> AlertEntry? {
        guard let entry = try await documents.get(id, project: project) else { return nil }
        return try await read(entry, id, project)
    }

    package func list(project: UInt32) async throws -> [AlertEntry] {
        var found: [AlertEntry] = []
        for (id, entry) in try await documents.list(project: project) { await add(&found, entry, id, project) }
        return found
    }

    /// Of all projects.
    package func all() async throws -> [UInt32: [AlertEntry]] {
        var found: [UInt32: [AlertEntry]] = [:]
        for (project, id, entry) in try await documents.all() { await add(&found[project, default: []], entry, id, project) }
        return found
    }

    private func add(_ found: inout [AlertEntry], _ entry: Versioned, _ id: String, _ project: UInt32) async {
        do {
            found.append(try await read(entry, id, project))
        } catch {
            logger.warning(
                "an alert rule can't be read and is left out",
                metadata: ["project": "\(project)", "rule": "\(id)", "error": "\(words(error))"])
        }
    }

    private func read(_ entry: Versioned, _ id: String, _ project: UInt32) async throws -> AlertEntry {
        let rule: AlertRule
        do {
            rule = try AlertRule.parse(entry.value)
        } catch {
            throw ProtocolError(
                .invalidQuery, "alert rule \"\(id)\" was saved by another version, and can't be read by this one: \(words(error))")
        }
        var state = AlertState()
        // The state of another version of the rule, or one that cannot be read, is none.
        if let stored = try await store.get(stateKey(id, project)), let document = try? JSONParser.parse(stored.value),
            document["watched"]?.asString?.string == Self.text(rule.fingerprint), let value = document["state"],
            let read = try? AlertState.parse(value)
        {
            state = read
        }
        return AlertEntry(project: project, rule: rule, revision: entry.revision, state: state)
    }

    /// The history of a rule as JSON, the oldest entry first.
    package func history(_ id: String, project: UInt32) async throws -> JSONValue? {
        guard try await documents.get(id, project: project) != nil else { return nil }
        return try await history(of: id, project).json
    }

    private func history(of id: String, _ project: UInt32) async throws -> AlertHistory {
        let stored = try await store.get(historyKey(id, project))
        return AlertHistory(stored.flatMap { try? JSONParser.parse($0.value) } ?? [])
    }

    // MARK: - Changes by people

    /// Saves a rule. Firings of the rule that it replaces end, unless only the times and forms of notifications differ.
    package func put(
        _ rule: AlertRule, if precondition: FunnelPrecondition = .init(), project: UInt32, now: Int64
    ) async throws -> (entry: AlertEntry, created: Bool) {
        let id = rule.id.string
        return try await turns.run {
            let (revision, created) = try await documents.put(id, if: precondition, project: project) { old in
                let value = rule.json.encode()
                // A rule that this release cannot read leaves nothing to end.
                guard let old, let entry = try? await read(old, id, project), !entry.rule.keepsState(as: rule) else { return (value, []) }
                return (value, try await close(entry, because: "the rule was changed", now: now))
            }
            let state = try await get(id, project: project)?.state ?? AlertState()
            return (AlertEntry(project: project, rule: rule, revision: revision, state: state), created)
        }
    }

    /// Deletes a rule with its state and history. Its firings end.
    package func delete(_ id: String, if precondition: FunnelPrecondition = .init(), project: UInt32, now: Int64) async throws {
        try await turns.run {
            try await documents.delete(id, if: precondition, project: project) { old in
                if let entry = try? await read(old, id, project) { _ = try await close(entry, because: "the rule was deleted", now: now) }
                return [
                    MetadataWrite(key: stateKey(id, project), expected: nil, value: nil),
                    MetadataWrite(key: historyKey(id, project), expected: nil, value: nil),
                ]
            }
        }
    }

    /// Ends the firings of a rule that is changed or deleted, and notifies its channels.
    private func close(_ entry: AlertEntry, because reason: String, now: Int64) async throws -> [MetadataWrite] {
        var state = entry.state
        let notifications = state.close(entry.rule, because: reason, now: now)
        try await send(notifications, entry.project)
        return try await writes(entry, AlertState(), ended: state, now: now)
    }

    // MARK: - Evaluation

    /// Goes on with a rule as far as there are answers.
    /// - Returns: whether another period was evaluated; false if the rule was changed meanwhile.
    func advance(
        _ entry: AlertEntry, _ plan: AlertPlan, now: Int64, significantRules: Int, answers: [AlertQuestion: AlertAnswer]
    ) async throws -> Bool {
        // From its first evaluation on, a rule goes on where it was. Otherwise a process that ends between notice and state would begin
        // anew with a later period, and the same firing would get another key.
        if entry.state.evaluated == nil, let first = plan.due(after: nil, now: now).first {
            _ = try await change(entry, now: now) {
                if $0.evaluated == nil { $0.evaluated = first.lowerBound }
                return []
            }
        }
        return try await change(entry, now: now) { state in
            state.advance(plan, now: now, significantRules: significantRules) { answers[$0] }
        }
    }

    /// Takes that a rule cannot be evaluated.
    func fail(_ entry: AlertEntry, _ invalid: AlertPlan.Invalid, now: Int64) async throws {
        _ = try await change(entry, now: now) { $0.fail(invalid, entry.rule, now: now) }
    }

    private func change(_ entry: AlertEntry, now: Int64, _ step: (inout AlertState) -> [AlertNotification]) async throws -> Bool {
        try await turns.run {
            guard let fresh = try await get(entry.rule.id.string, project: entry.project), fresh.revision == entry.revision else {
                return false
            }
            var state = fresh.state
            // Revisions are never given twice, so a rule that was changed or made anew has other keys than before.
            if state.origin == 0 { state.origin = fresh.revision }
            let notifications = step(&state)
            guard state != fresh.state else { return false }
            try await send(notifications, entry.project)
            _ = try await store.compareAndSet(try await writes(fresh, state, now: now))
            return state.evaluated != fresh.state.evaluated
        }
    }

    private func send(_ notifications: [AlertNotification], _ project: UInt32) async throws {
        for notification in notifications {
            let notices = AlertNotices(notification, project: project, publicURL: publicURL)
            try await desk.submit(notices.joined, single: notices.single, to: notification.channels.map(\.string), project: project)
        }
    }

    /// The writes that store a state, and what changed since the one before.
    /// - Parameter ended: what the state was before it began anew.
    private func writes(
        _ entry: AlertEntry, _ state: AlertState, ended: AlertState? = nil, now: Int64
    ) async throws -> [MetadataWrite] {
        let id = entry.rule.id.string
        let document: JSONValue = ["watched": .text(Self.text(entry.rule.fingerprint)), "state": state.json]
        var writes = [MetadataWrite(key: stateKey(id, entry.project), expected: nil, value: document.encode())]
        let before = try await history(of: id, entry.project)
        var history = before
        history.add(from: entry.state, to: ended ?? state, now: now)
        if history != before {
            writes.append(MetadataWrite(key: historyKey(id, entry.project), expected: nil, value: history.json.encode()))
        }
        return writes
    }

    private func stateKey(_ id: String, _ project: UInt32) -> String { "alert-state/\(project)/\(id)" }
    private func historyKey(_ id: String, _ project: UInt32) -> String { "alert-history/\(project)/\(id)" }
    private static func text(_ fingerprint: UInt64) -> String { String(fingerprint, radix: 16) }
}
