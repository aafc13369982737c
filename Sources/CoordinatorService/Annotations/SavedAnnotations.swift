import FunnelModel
import FunnelProtocol
import Logging
import Metadata
import ServiceRuntime

/// Annotations of all projects, with revisions.
package struct SavedAnnotations: Sendable {
    /// An annotation and the revision at which it was saved.
    package struct Saved: Equatable, Sendable {
        package var annotation: Annotation
        package var revision: UInt64
    }

    package static let perProject = 1_000

    private let documents: SavedDocuments
    private let savedFunnels: SavedFunnels
    private let logger: Logger

    package init(_ store: any MetadataStore, _ savedFunnels: SavedFunnels, logger: Logger) {
        documents = SavedDocuments(store, noun: "annotation", prefix: "annotation/", limit: Self.perProject)
        self.savedFunnels = savedFunnels
        self.logger = logger
    }

    /// Throws `.unknownDocument` if there is none, and `.invalidQuery` if this release cannot read it.
    package func get(_ id: String, project: UInt32) async throws -> Saved {
        guard let entry = try await documents.get(id, project: project) else { throw AccessRefusal.unknownDocument(documents.noun) }
        return Saved(annotation: try read(entry, id), revision: entry.revision)
    }

    /// Those of a range that this release can read, in the order of time.
    package func list(project: UInt32, in range: Range<Int64> = Int64.min..<Int64.max) async throws -> [Annotation] {
        let found = try await documents.list(project: project).compactMap { id, entry -> Annotation? in
            do {
                return try read(entry, id)
            } catch {
                logger.warning(
                    "an annotation can't be read and is left out",
                    metadata: ["project": "\(project)", "annotation": "\(id)", "error": "\(words(error))"])
                return nil
            }
        }
        return found.filter { $0.isWithin(range) }.sorted { ($0.start, $0.id) < ($1.start, $1.id) }
    }

    /// Saves an annotation. Throws `InvalidDocument` if it names a funnel that does not exist.
    package func put(
        _ annotation: Annotation, if precondition: FunnelPrecondition = .init(), project: UInt32
    ) async throws -> (saved: Saved, created: Bool) {
        if let funnel = annotation.funnelID, try await savedFunnels.get(funnel, project: project) == nil {
            throw InvalidDocument([FieldFault("funnel_id", "names the funnel \(funnel.string), which does not exist")])
        }
        let value = annotation.json.encode()
        let (revision, created) = try await documents.put(annotation.id, if: precondition, project: project) { _ in (value, []) }
        return (Saved(annotation: annotation, revision: revision), created)
    }

    /// Throws `.unknownDocument` if there is none.
    package func delete(_ id: String, if precondition: FunnelPrecondition = .init(), project: UInt32) async throws {
        try await documents.delete(id, if: precondition, project: project)
    }

    private func read(_ entry: Versioned, _ id: String) throws -> Annotation {
        do {
            return try Annotation.parse(try JSONParser.parse(entry.value))
        } catch {
            throw ProtocolError(
                .invalidQuery, "annotation \"\(id)\" was saved by another version, and can't be read by this one: \(words(error))")
        }
    }
}
