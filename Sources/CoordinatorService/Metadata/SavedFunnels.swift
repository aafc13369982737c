import FunnelModel
import FunnelProtocol
import Logging
import Metadata
import ServiceRuntime
import Synchronization

/// Saved funnel definitions of a project, with revisions, and which of them is the default.
package final class SavedFunnels: Sendable {
    private let store: any MetadataStore
    private let logger: Logger
    private let changed = Atomic<UInt64>(0)
    /// Keys of unreadable definitions that were logged.
    private let unreadable = Mutex<Set<String>>([])

    package init(_ store: any MetadataStore, logger: Logger) {
        self.store = store
        self.logger = logger
    }

    /// Number of changes since the process started. If it is the same, so are all definitions.
    var changes: UInt64 { changed.load(ordering: .acquiring) }

    /// A definition, and the revision at which it was saved.
    package struct Saved: Sendable {
        package var definition: FunnelDefinition
        package var revision: UInt64
    }

    /// The funnel saved under `id`; nil if there is none. Throws `.invalidQuery`, with the reason, if this version can't read it.
    package func get(_ id: ByteString, project: UInt32) async throws -> Saved? {
        guard let entry = try await store.get(key(id, project)) else { return nil }
        return try saved(entry, id, default: try await defaultID(project))
    }

    /// All saved funnels that this version can read, by id. Others, which a later version saved, are left out and logged once.
    package func list(project: UInt32) async throws -> [Saved] {
        let mark = try await defaultID(project)
        return try await store.list(prefix: prefix(project)).compactMap { key, entry in
            let id = ByteString(key.dropFirst(prefix(project).count))
            do {
                return try saved(entry, id, default: mark)
            } catch {
                if unreadable.withLock({ $0.insert(key).inserted }) {
                    logger.warning(
                        "a saved funnel can't be read and is left out",
                        metadata: ["project": "\(project)", "funnel": "\(id.string)", "error": "\(words(error))"])
                }
                return nil
            }
        }
    }

    /// Saves a definition. Whether it is the default is written in the same transaction.
    /// - Parameter precondition: throws `.conflict` if the funnel saved before does not meet it.
    /// - Returns: the saved funnel, and whether it is new.
    package func put(
        _ definition: FunnelDefinition, id: ByteString, if precondition: FunnelPrecondition = .init(), project: UInt32
    ) async throws -> (saved: Saved, created: Bool) {
        var definition = definition
        definition.id = id
        let before = try await store.get(key(id, project))
        let revision = try await write(id, definition.json.encode(), isDefault: definition.isDefault, if: precondition, project)
        return (Saved(definition: definition, revision: revision), before == nil)
    }

    /// Deletes a saved funnel; false if there was none, with any precondition (RFC 9110 section 13.2.1).
    package func delete(_ id: ByteString, if precondition: FunnelPrecondition = .init(), project: UInt32) async throws -> Bool {
        guard try await store.get(key(id, project)) != nil else { return false }
        _ = try await write(id, nil, isDefault: false, if: precondition, project)
        return true
    }

    /// The definition for queries that name none: the default, or else the only one. Throws if there is neither.
    package func defaultFunnel(project: UInt32) async throws -> FunnelDefinition {
        if let mark = try await defaultID(project), let marked = try await get(mark, project: project) { return marked.definition }
        let all = try await list(project: project)
        guard let first = all.first else { throw ProtocolError(.unknownFunnel, "no funnel is saved") }
        guard all.count == 1 else {
            let names = all.prefix(20).compactMap { $0.definition.id?.string }.joined(separator: ", ")
            throw ProtocolError(.ambiguousFunnel, "several funnels are saved and none is the default; name one of: \(names)")
        }
        return first.definition
    }

    private func defaultID(_ project: UInt32) async throws -> ByteString? {
        try await store.get(defaultKey(project)).map { ByteString($0.value) }
    }

    private func write(
        _ id: ByteString, _ value: [UInt8]?, isDefault: Bool, if precondition: FunnelPrecondition, _ project: UInt32
    ) async throws -> UInt64 {
        while true {
            var expected: UInt64?
            if !precondition.isEmpty {
                let current = try await store.get(key(id, project))?.revision ?? 0
                if let reason = precondition.conflict(at: current) { throw ProtocolError(.conflict, reason) }
                expected = current
            }
            var writes = [MetadataWrite(key: key(id, project), expected: expected, value: value)]
            let mark = try await store.get(defaultKey(project))
            let isMarked = mark.map { ByteString($0.value) } == id
            if isMarked != isDefault {
                writes.append(
                    MetadataWrite(key: defaultKey(project), expected: mark?.revision ?? 0, value: isDefault ? id.bytes : nil))
            }
            do {
                let revision = try await store.compareAndSet(writes)
                changed.wrappingAdd(1, ordering: .releasing)
                return revision
            } catch is RevisionConflict {
                // This funnel was changed meanwhile, or another one became the default: all is decided again.
                continue
            }
        }
    }

    private func saved(_ entry: Versioned, _ id: ByteString, default mark: ByteString?) throws -> Saved {
        var definition: FunnelDefinition
        do {
            definition = try FunnelDefinition.parse(try JSONParser.parse(entry.value))
        } catch {
            let reason = "funnel \"\(id.string)\" was saved by another version, and can't be read by this one: \(words(error))"
            throw ProtocolError(.invalidQuery, reason, faults: (error as? InvalidDocument)?.faults ?? [])
        }
        definition.isDefault = mark == id
        return Saved(definition: definition, revision: entry.revision)
    }

    private func prefix(_ project: UInt32) -> String { "funnel/\(project)/" }
    private func key(_ id: ByteString, _ project: UInt32) -> String { prefix(project) + id.string }
    private func defaultKey(_ project: UInt32) -> String { "default-funnel/\(project)" }
}
