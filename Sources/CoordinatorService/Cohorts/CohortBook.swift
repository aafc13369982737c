import FunnelModel
import FunnelProtocol
import Logging
import Metadata
import Notifications
import ServiceRuntime

/// The cohorts of all projects, what became of their runs, and their lists of users.
///
/// Each write of a run needs the revision at which it found the state, and gives the state another one. So a run that goes on while
/// somebody changes or deletes the cohort fails with `RevisionConflict` and leaves nothing behind.
package final class CohortBook: Sendable {
    package static let perProject = 20

    private let documents: SavedDocuments
    private let store: any MetadataStore
    private let logger: Logger

    package init(_ store: any MetadataStore, logger: Logger) {
        self.store = store
        self.logger = logger
        documents = SavedDocuments(store, noun: "cohort", prefix: "cohort/", limit: Self.perProject)
    }

    // MARK: - Reading

    /// Nil if there is none. Throws `.invalidQuery` if this release cannot read it.
    package func get(_ id: String, project: UInt32) async throws -> CohortEntry? {
        guard let entry = try await documents.get(id, project: project) else { return nil }
        return try await read(entry, id, project)
    }

    package func list(project: UInt32) async throws -> [CohortEntry] {
        var found: [CohortEntry] = []
        for (id, entry) in try await documents.list(project: project) { await add(&found, entry, id, project) }
        return found
    }

    /// Of all projects.
    package func all() async throws -> [CohortEntry] {
        var found: [CohortEntry] = []
        for (project, id, entry) in try await documents.all() { await add(&found, entry, id, project) }
        return found
    }

    private func add(_ found: inout [CohortEntry], _ entry: Versioned, _ id: String, _ project: UInt32) async {
        do {
            found.append(try await read(entry, id, project))
        } catch {
            logger.warning(
                "a cohort can't be read and is left out",
                metadata: ["project": "\(project)", "cohort": "\(id)", "error": "\(words(error))"])
        }
    }

    private func read(_ entry: Versioned, _ id: String, _ project: UInt32) async throws -> CohortEntry {
        let cohort: SyncedCohort
        do {
            cohort = try SyncedCohort.parseWithQuestion(try JSONParser.parse(entry.value))
        } catch {
            throw ProtocolError(
                .invalidQuery, "cohort \"\(id)\" was saved by another version, and can't be read by this one: \(words(error))")
        }
        let stored = try await store.get(stateKey(id, project))
        // Without a state that can be read, nothing is sent until somebody asks for it: it would be the whole list.
        let state = stored.flatMap { try? JSONParser.parse($0.value) }.flatMap { CohortState($0) }
        let unknown = CohortState(next: .max, problem: "the state cannot be read; a sync begins anew and sends all users")
        return CohortEntry(
            project: project, cohort: cohort, revision: entry.revision, state: state ?? unknown, stateRevision: stored?.revision ?? 0)
    }

    // MARK: - Changes

    /// Saves a cohort. Its next run begins at once if it is new or if more than its title changes. Another channel gets all users.
    package func put(
        _ cohort: SyncedCohort, if precondition: FunnelPrecondition = .init(), project: UInt32, now: Int64
    ) async throws -> (entry: CohortEntry, created: Bool) {
        let value = cohort.json.encode()
        let (_, created) = try await repeating(stateKey(cohort.id, project)) {
            try await documents.put(cohort.id, if: precondition, project: project) { old in
                let key = stateKey(cohort.id, project)
                guard let old, let entry = try? await read(old, cohort.id, project) else {
                    let found = try await store.get(key)?.revision ?? 0
                    return (value, [.init(key: key, expected: found, value: CohortState(next: now).stored.encode())])
                }
                var state = entry.state
                var beside: [MetadataWrite] = []
                if entry.cohort.channel != cohort.channel {
                    beside = try await removal(of: state.lists, cohort.id, project)
                    state = state.restarted(now: now)
                } else if !entry.cohort.asksLike(cohort) {
                    state.want(now: now)
                } else {
                    return (value, [])
                }
                return (value, beside + [.init(key: key, expected: entry.stateRevision, value: state.stored.encode())])
            }
        }
        guard let entry = try await get(cohort.id, project: project) else { throw AccessRefusal.unknownDocument(documents.noun) }
        return (entry, created)
    }

    /// Deletes a cohort with its lists.
    package func delete(_ id: String, if precondition: FunnelPrecondition = .init(), project: UInt32) async throws {
        let key = stateKey(id, project)
        try await repeating(key) {
            try await documents.delete(id, if: precondition, project: project) { _ in
                let stored = try await store.get(key)
                let state = stored.flatMap { try? JSONParser.parse($0.value) }.flatMap { CohortState($0) }
                return try await removal(of: state?.lists ?? [], id, project) + [
                    .init(key: key, expected: stored?.revision ?? 0, value: nil)
                ]
            }
        }
    }

    /// Makes the next run begin now.
    package func want(_ id: String, project: UInt32, now: Int64) async throws -> CohortEntry {
        try await repeating(stateKey(id, project)) {
            guard var entry = try await get(id, project: project) else { throw AccessRefusal.unknownDocument(documents.noun) }
            var state = entry.state
            state.want(now: now)
            try await save(state, of: &entry)
            return entry
        }
    }

    /// Again while a run changes the state meanwhile.
    private func repeating<T>(_ key: String, _ change: () async throws -> T) async throws -> T {
        while true {
            do {
                return try await change()
            } catch let conflict as RevisionConflict {
                guard conflict.key == key else { throw conflict }
            }
        }
    }

    // MARK: - Runs

    /// Stores the state, and chunks or the removal of lists beside it. Throws `RevisionConflict` if the state was changed meanwhile.
    func save(_ state: CohortState, of entry: inout CohortEntry, beside: [MetadataWrite] = []) async throws {
        let key = stateKey(entry.cohort.id, entry.project)
        entry.stateRevision = try await store.compareAndSet(
            [MetadataWrite(key: key, expected: entry.stateRevision, value: state.stored.encode())] + beside)
        entry.state = state
    }

    func write(_ chunk: [UInt8], _ number: Int, ofList run: UInt64, of entry: CohortEntry) -> MetadataWrite {
        MetadataWrite(key: chunkKey(number, run, entry.cohort.id, entry.project), expected: nil, value: chunk)
    }

    /// Removes lists.
    func removal(of runs: [UInt64], of entry: CohortEntry) async throws -> [MetadataWrite] {
        try await removal(of: runs, entry.cohort.id, entry.project)
    }

    /// Chunks are written in order, so a list ends at the first number without one, also if its run did not end.
    private func removal(of runs: [UInt64], _ id: String, _ project: UInt32) async throws -> [MetadataWrite] {
        var writes: [MetadataWrite] = []
        for run in runs {
            var number = 0
            while try await store.get(chunkKey(number, run, id, project)) != nil {
                writes.append(MetadataWrite(key: chunkKey(number, run, id, project), expected: nil, value: nil))
                number += 1
            }
        }
        return writes
    }

    /// Reads the chunks of a list.
    func chunks(ofList run: UInt64, of entry: CohortEntry) -> CohortDifference.Chunks {
        let (id, project, store) = (entry.cohort.id, entry.project, store)
        return { [self] number in
            guard let stored = try await store.get(chunkKey(number, run, id, project)) else { return nil }
            guard let users = CohortList.users(stored.value) else {
                throw ProtocolError(.storageFailed, "the list of cohort \(id) is damaged in the metadata")
            }
            return users
        }
    }

    private func chunkKey(_ number: Int, _ run: UInt64, _ id: String, _ project: UInt32) -> String {
        let digits = "\(number)"
        return "cohort-members/\(project)/\(id)/\(run)/" + String(repeating: "0", count: max(0, 6 - digits.count)) + digits
    }

    private func stateKey(_ id: String, _ project: UInt32) -> String { "cohort-state/\(project)/\(id)" }
}
