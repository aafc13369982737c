import FunnelModel
import FunnelProtocol
import Metadata

/// Documents of one kind, such as alert rules, by project and id, with revisions.
package struct SavedDocuments: Sendable {
    /// In errors: `alert rule`.
    let noun: String
    /// Of the keys in the metadata: `alert/`.
    private let prefix: String
    /// Max documents of a project.
    private let limit: Int
    private let store: any MetadataStore

    package init(_ store: any MetadataStore, noun: String, prefix: String, limit: Int) {
        self.store = store
        self.noun = noun
        self.prefix = prefix
        self.limit = limit
    }

    func key(_ id: String, _ project: UInt32) -> String { "\(prefix)\(project)/\(id)" }

    func get(_ id: String, project: UInt32) async throws -> Versioned? { try await store.get(key(id, project)) }

    /// By id.
    func list(project: UInt32) async throws -> [(id: String, entry: Versioned)] {
        let start = "\(prefix)\(project)/"
        return try await store.list(prefix: start).map { (String($0.key.dropFirst(start.count)), $0.entry) }
    }

    /// Of all projects.
    func all() async throws -> [(project: UInt32, id: String, entry: Versioned)] {
        try await store.list(prefix: prefix).compactMap { key, entry in
            let parts = key.dropFirst(prefix.count).split(separator: "/", maxSplits: 1)
            guard parts.count == 2, let project = UInt32(parts[0]) else { return nil }
            return (project, String(parts[1]), entry)
        }
    }

    /// Saves a document.
    /// - Parameters:
    ///   - precondition: throws `.conflict` if the saved document does not meet it.
    ///   - make: the new value of the saved one, and writes of other keys in the same transaction. A change by somebody else meanwhile
    ///     calls it again.
    /// - Throws: `AccessRefusal.documents` at the limit of the project.
    func put(
        _ id: String, if precondition: FunnelPrecondition, project: UInt32,
        _ make: (Versioned?) async throws -> (value: [UInt8], beside: [MetadataWrite])
    ) async throws -> (revision: UInt64, created: Bool) {
        while true {
            let old = try await get(id, project: project)
            try check(precondition, old)
            if old == nil, try await list(project: project).count >= limit { throw AccessRefusal.documents(noun, limit) }
            let new = try await make(old)
            if let old, old.value == new.value, new.beside.isEmpty { return (old.revision, false) }
            do {
                let write = MetadataWrite(key: key(id, project), expected: old?.revision ?? 0, value: new.value)
                return (try await store.compareAndSet([write] + new.beside), old == nil)
            } catch let conflict as RevisionConflict {
                guard conflict.key == key(id, project) else { throw conflict }
            }
        }
    }

    /// Deletes a document.
    /// - Parameter beside: writes of other keys in the same transaction.
    /// - Throws: `AccessRefusal.unknownDocument` if there is none, with any precondition (RFC 9110 section 13.2.1).
    func delete(
        _ id: String, if precondition: FunnelPrecondition, project: UInt32,
        beside: (Versioned) async throws -> [MetadataWrite] = { _ in [] }
    ) async throws {
        while true {
            guard let old = try await get(id, project: project) else { throw AccessRefusal.unknownDocument(noun) }
            try check(precondition, old)
            let writes = try await beside(old)
            do {
                _ = try await store.compareAndSet(
                    [MetadataWrite(key: key(id, project), expected: old.revision, value: nil)] + writes)
                return
            } catch let conflict as RevisionConflict {
                guard conflict.key == key(id, project) else { throw conflict }
            }
        }
    }

    private func check(_ precondition: FunnelPrecondition, _ old: Versioned?) throws {
        if let reason = precondition.conflict(at: old?.revision ?? 0, of: .document(noun)) { throw ProtocolError(.conflict, reason) }
    }
}
