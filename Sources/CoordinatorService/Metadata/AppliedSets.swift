import FunnelModel
import FunnelProtocol
import Metadata

/// The documents that `sluice apply` created, by project and by the name that it gives them as a set. So every machine that applies the set
/// knows what `--prune` may delete.
package struct AppliedSets: Sendable {
    /// The documents of a set, and the revision at which they were saved.
    package struct Saved: Equatable, Sendable {
        package var name: String
        package var documents: [Document]
        package var revision: UInt64

        var json: JSONValue { ["name": .text(name), "documents": .array(documents.map(\.json))] }
    }

    /// Names a document. The kind can be one that only another release knows.
    package struct Document: Hashable, Comparable, Sendable {
        package var kind: String
        package var id: String

        package init(kind: String, id: String) {
            self.kind = kind
            self.id = id
        }

        package static func < (a: Self, b: Self) -> Bool { (a.kind, a.id) < (b.kind, b.id) }

        var json: JSONValue { ["kind": .text(kind), "id": .text(id)] }
    }

    package static let perProject = 100
    package static let documentsMax = 2_000
    package static let bodyBytes = 512 << 10

    private let sets: SavedDocuments

    package init(_ store: any MetadataStore) {
        sets = SavedDocuments(store, noun: "applied set", prefix: "applied/", limit: Self.perProject)
    }

    /// Nil if there is none.
    package func get(_ name: String, project: UInt32) async throws -> Saved? {
        guard let entry = try await sets.get(name, project: project) else { return nil }
        return try Self.read(entry, name)
    }

    /// By name.
    package func list(project: UInt32) async throws -> [Saved] {
        try await sets.list(project: project).map { try Self.read($0.entry, $0.id) }
    }

    /// Replaces the documents of a set.
    package func put(
        _ documents: [Document], name: String, if precondition: FunnelPrecondition = .init(), project: UInt32
    ) async throws -> (saved: Saved, created: Bool) {
        let sorted = documents.sorted()
        let value = JSONValue.array(sorted.map(\.json)).encode()
        let (revision, created) = try await sets.put(name, if: precondition, project: project) { _ in (value, []) }
        return (Saved(name: name, documents: sorted, revision: revision), created)
    }

    /// Deletes a set. Its documents stay.
    package func delete(_ name: String, if precondition: FunnelPrecondition = .init(), project: UInt32) async throws {
        try await sets.delete(name, if: precondition, project: project)
    }

    private static func read(_ entry: Versioned, _ name: String) throws -> Saved {
        do {
            let documents = try parse(["documents": try JSONParser.parse(entry.value)], name: name)
            return Saved(name: name, documents: documents, revision: entry.revision)
        } catch {
            throw ProtocolError(
                .invalidQuery, "applied set \"\(name)\" was saved by another version, and can't be read by this one: \(words(error))")
        }
    }

    /// Reads and checks the body of a request. Throws `InvalidDocument` with all faults.
    /// - Parameter name: the name in the path, which the body may repeat.
    package static func parse(_ body: JSONValue, name: String) throws(InvalidDocument) -> [Document] {
        var reader = FieldReader(body)
        if let given = reader.string("name")?.string, given != name { reader.faultAt("name", "must be \(name), the name in the path") }
        let value = reader.value("documents")
        if body.asObject != nil { reader.rejectUnknown() }
        guard reader.faults.isEmpty else { throw InvalidDocument(reader.faults) }
        guard let list = value?.asArray, list.count <= documentsMax else {
            throw InvalidDocument([FieldFault("documents", "must be a list of at most \(documentsMax) documents, each with kind and id")])
        }
        var documents: [Document] = []
        var seen: Set<Document> = []
        for (i, item) in list.enumerated() {
            var inner = FieldReader(item, path: "documents[\(i)].")
            let kind = inner.string("kind")?.string ?? ""
            let id = inner.string("id")?.string ?? ""
            if item.asObject != nil {
                inner.rejectUnknown()
                if inner.faults.isEmpty, !isKind(kind) { inner.faultAt("kind", "must match [a-z_]{1,\(kindBytes)}") }
                if inner.faults.isEmpty, !FunnelDefinition.isValidID(ByteString(id)) {
                    inner.faultAt("id", "must match [A-Za-z0-9_.-]{1,\(Limits.funnelIDBytes)}")
                }
                if inner.faults.isEmpty, !seen.insert(Document(kind: kind, id: id)).inserted { inner.faultAt("id", "is given twice") }
            }
            // One fault is enough of a list that a program makes.
            guard inner.faults.isEmpty else { throw InvalidDocument(inner.faults) }
            documents.append(Document(kind: kind, id: id))
        }
        return documents
    }

    private static let kindBytes = 32

    private static func isKind(_ text: String) -> Bool {
        (1...kindBytes).contains(text.utf8.count) && text.utf8.allSatisfy { (97...122).contains($0) || $0 == UInt8(ascii: "_") }
    }
}
