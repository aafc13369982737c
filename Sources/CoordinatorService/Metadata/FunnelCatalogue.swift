import FunnelModel
import FunnelProtocol
import Metadata
import Synchronization

/// Saved funnel definitions of a project, with revisions, and which of them is the default.
final class FunnelCatalogue: Sendable {
    private let store: any MetadataStore
    private let changed = Atomic<UInt64>(0)

    init(_ store: any MetadataStore) { self.store = store }

    /// Changes since this process began: what answers by saved definitions hang on.
    var changes: UInt64 { changed.load(ordering: .acquiring) }

    struct Saved: Sendable {
        var definition: FunnelDefinition
        var revision: UInt64
    }

    func get(_ id: ByteString, project: UInt32) async throws -> Saved? {
        guard let entry = try await store.get(key(id, project)) else { return nil }
        return try saved(entry, id, default: try await defaultID(project))
    }

    func list(project: UInt32) async throws -> [Saved] {
        let mark = try await defaultID(project)
        return try await store.list(prefix: prefix(project)).map { key, entry in
            try saved(entry, ByteString(key.dropFirst(prefix(project).count)), default: mark)
        }
    }

    /// - Parameter expected: revision that the caller saw (0 = none yet); nil writes whatever is there.
    /// - Returns: the saved funnel, and whether it is new.
    func put(
        _ definition: FunnelDefinition, id: ByteString, expected: UInt64?, project: UInt32
    ) async throws -> (saved: Saved, created: Bool) {
        var definition = definition
        definition.id = id
        let before = try await store.get(key(id, project))
        let revision = try await write(key(id, project), expected: expected, definition.json.encoded)
        try await mark(id, isDefault: definition.isDefault, project: project)
        changed.wrappingAdd(1, ordering: .releasing)
        return (Saved(definition: definition, revision: revision), before == nil)
    }

    /// - Returns: false where there was none.
    func delete(_ id: ByteString, expected: UInt64?, project: UInt32) async throws -> Bool {
        guard let entry = try await store.get(key(id, project)) else { return false }
        _ = try await write(key(id, project), expected: expected ?? entry.revision, nil)
        try await mark(id, isDefault: false, project: project)
        changed.wrappingAdd(1, ordering: .releasing)
        return true
    }

    /// The definition to answer with when none was named: the default, else the only one.
    func standing(project: UInt32) async throws -> FunnelDefinition {
        let all = try await list(project: project)
        if let marked = all.first(where: { $0.definition.isDefault }) { return marked.definition }
        guard let first = all.first else { throw ProtocolError(.unknownFunnel, "no funnel is saved") }
        guard all.count == 1 else {
            let names = all.prefix(20).compactMap { $0.definition.id?.string }.joined(separator: ", ")
            throw ProtocolError(.ambiguousFunnel, "several funnels are saved and none is the default; name one of: \(names)")
        }
        return first.definition
    }

    private func mark(_ id: ByteString, isDefault: Bool, project: UInt32) async throws {
        let current = try await defaultID(project)
        if isDefault, current != id {
            _ = try await store.compareAndSet(defaultKey(project), expected: nil, value: id.bytes)
        } else if !isDefault, current == id {
            _ = try await store.compareAndSet(defaultKey(project), expected: nil, value: nil)
        }
    }

    private func defaultID(_ project: UInt32) async throws -> ByteString? {
        try await store.get(defaultKey(project)).map { ByteString($0.value) }
    }

    private func write(_ key: String, expected: UInt64?, _ value: [UInt8]?) async throws -> UInt64 {
        do {
            return try await store.compareAndSet(key, expected: expected, value: value)
        } catch let conflict as RevisionConflict {
            throw ProtocolError(.conflict, "the funnel is at revision \(conflict.current), not at the one named by If-Match")
        }
    }

    private func saved(_ entry: Versioned, _ id: ByteString, default mark: ByteString?) throws -> Saved {
        var definition = try FunnelDefinition.parse(try JSONParser.parse(entry.value))
        definition.isDefault = mark == id
        return Saved(definition: definition, revision: entry.revision)
    }

    private func prefix(_ project: UInt32) -> String { "funnel/\(project)/" }
    private func key(_ id: ByteString, _ project: UInt32) -> String { prefix(project) + id.string }
    private func defaultKey(_ project: UInt32) -> String { "default-funnel/\(project)" }
}
