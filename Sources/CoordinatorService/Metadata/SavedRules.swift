import EventRules
import FunnelModel
import FunnelProtocol
import Logging
import Metadata
import RPC
import Synchronization

/// The normalisation rules of all projects, with revisions. A change is stored, then sent to the services that wait for it.
package final class SavedRules: Sendable {
    /// The rules of one project, and the revision at which they were saved.
    package struct Saved: Equatable, Sendable {
        /// 0: the project never had rules.
        package var revision: UInt64 = 0
        /// As JSON. A later release may have saved what this one cannot read.
        package var document = ByteString(RuleList().json.encode())
    }

    private struct State {
        /// By project, those without rules included that had some.
        var saved: [UInt32: Saved] = [:]
        /// Rules that are being stored; they count for the limit of all projects together.
        var reserved: [(project: UInt32, bytes: Int)] = []
    }

    private let store: any MetadataStore
    private let logger: Logger
    private let state = Mutex(State())
    private let polls = ListPolls()

    private static let prefix = "rules/"
    private static let none = Saved().document

    /// Loads the rules.
    package init(_ store: any MetadataStore, logger: Logger) async throws {
        self.store = store
        self.logger = logger
        let entries = try await store.list(prefix: Self.prefix)
        state.withLock { state in
            for (key, entry) in entries {
                guard let project = UInt32(key.dropFirst(Self.prefix.count)), project > 0 else { continue }
                state.saved[project] = Saved(revision: entry.revision, document: ByteString(entry.value))
            }
        }
    }

    /// The newest revision of the projects that have rules; 0: none has.
    package var newest: UInt64 {
        state.withLock { $0.saved.values.filter { $0.document != Self.none }.map(\.revision).max() ?? 0 }
    }

    package func get(project: UInt32) -> Saved { state.withLock { $0.saved[project] ?? Saved() } }

    /// Replaces the rules of a project. An empty list removes them. Rules equal to the saved ones keep the revision.
    /// - Parameters:
    ///   - precondition: throws `.conflict` if the saved rules do not meet it, or are not those that the list replaces.
    ///   - caller: for the log.
    /// - Throws: `AccessRefusal.ruleListBytes`.
    package func put(
        _ list: RuleList, if precondition: FunnelPrecondition = .init(), project: UInt32, by caller: KeyRing.Principal
    ) async throws -> Saved {
        let document = ByteString(list.json.encode())
        let bytes = list.rules.isEmpty ? 0 : Self.bytes(project, document)
        try reserve(bytes, project)
        defer { release(bytes, project) }
        let (revision, isNew) = try await write(document, list.replaces, precondition, project)
        let saved = Saved(revision: revision, document: document)
        state.withLock { state in
            // Another change may be stored and noted already.
            if saved.revision > state.saved[project]?.revision ?? 0 { state.saved[project] = saved }
        }
        guard isNew else { return saved }
        let waiting = polls.change()
        logger.notice(
            "normalisation rules changed",
            metadata: [
                "project": "\(project)", "revision": "\(saved.revision)", "rules": "\(list.rules.count)",
                "by": "\(caller.keyID ?? KeyRecord.environment)",
            ])
        await polls.awaitServices(waiting)
        return saved
    }

    /// The revision of the rules, and whether they were written: equal ones are not.
    private func write(
        _ document: ByteString, _ replaces: UInt64?, _ precondition: FunnelPrecondition, _ project: UInt32
    ) async throws -> (revision: UInt64, isNew: Bool) {
        let key = Self.prefix + "\(project)"
        while true {
            let entry = try await store.get(key)
            let current = entry?.revision ?? 0
            if let replaces, replaces != current {
                let fault = "the rules are at revision \(current); the document replaces revision \(replaces)"
                throw ProtocolError(.conflict, fault + "; get them again with 'sluice rules get'")
            }
            if let reason = precondition.conflict(at: current, of: .rules) { throw ProtocolError(.conflict, reason) }
            if entry.map({ ByteString($0.value) }) ?? Self.none == document { return (current, false) }
            let isFree = replaces == nil && precondition.isEmpty
            do {
                return (try await store.compareAndSet(key, expected: isFree ? nil : current, value: document.bytes), true)
            } catch is RevisionConflict {
                // They were changed meanwhile: all is decided again.
                continue
            }
        }
    }

    // MARK: - The limit of all projects together

    private static func bytes(_ project: UInt32, _ document: ByteString) -> Int {
        RuleListMessage.bytes(of: ProjectRules(project: project, revision: .max, document: document))
    }

    private func reserve(_ bytes: Int, _ project: UInt32) throws(AccessRefusal) {
        try state.withLock { state throws(AccessRefusal) in
            let others = state.saved.reduce(0) { sum, entry in
                entry.key == project || entry.value.document == Self.none ? sum : sum + Self.bytes(entry.key, entry.value.document)
            }
            let pending = state.reserved.reduce(0) { $0 + ($1.project == project ? 0 : $1.bytes) }
            guard bytes == 0 || others + pending + bytes <= Limits.ruleListBytes else { throw .ruleListBytes }
            state.reserved.append((project, bytes))
        }
    }

    private func release(_ bytes: Int, _ project: UInt32) {
        state.withLock { state in
            if let place = state.reserved.firstIndex(where: { $0 == (project, bytes) }) { state.reserved.remove(at: place) }
        }
    }

    // MARK: - For services

    /// A long poll: the rules of all projects, once their version differs from the one that the caller knows or the wait is over.
    package func answer(_ request: RuleListRequest) async -> RuleListMessage {
        let version = await polls.wait(known: request.known, milliseconds: request.waitMilliseconds)
        if version == request.known { return RuleListMessage(version: version, projects: nil) }
        let saved = state.withLock { $0.saved }
        let projects = saved.filter { $0.value.document != Self.none }.map { project, saved in
            ProjectRules(project: project, revision: saved.revision, document: saved.document)
        }
        return RuleListMessage(version: version, projects: projects.sorted { $0.project < $1.project })
    }

    /// Ends the waits in `answer`.
    package func endWaiting() { polls.endWaiting() }
}
