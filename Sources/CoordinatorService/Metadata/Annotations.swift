import FunnelModel
import FunnelProtocol
import Metadata

/// What happened at a moment, such as a release: trends show it beside their numbers (`Protocol/PROTOCOL.md`, "Annotations").
package struct Annotation: Equatable, Sendable {
    package static let documentBytes = 4 << 10
    package static let textBytes = 200

    package var id: String
    /// Microseconds since 1970.
    package var time: Int64
    package var text: ByteString
    /// Only trends of this funnel show it; nil is all.
    package var funnelID: ByteString?

    /// Reads and checks a document. Throws `InvalidDocument` with all faults.
    /// - Parameter now: the time of a document that has none.
    package static func parse(_ document: JSONValue, now: Int64) throws(InvalidDocument) -> Annotation {
        var reader = FieldReader(document)
        let id = reader.string("id")?.string ?? ""
        let text = reader.string("text")
        if text.map({ !(1...textBytes).contains($0.count) }) ?? (reader.value("text") == nil) {
            reader.faultAt("text", "must have 1 to \(textBytes) bytes")
        }
        var time = now
        if let given = reader.string("time") {
            if let read = try? Timestamp.read(given), read.hasZone, given.bytes.contains(UInt8(ascii: "-")),
                Limits.storableTimes.contains(read.time)
            {
                time = read.time
            } else {
                reader.faultAt("time", "must be an RFC 3339 instant; \"\(given.string.prefix(40))\" is not")
            }
        }
        let funnelID = reader.string("funnel_id")
        if let funnelID, !FunnelDefinition.isValidID(funnelID) {
            reader.faultAt("funnel_id", "must match [A-Za-z0-9_.-]{1,\(Limits.funnelIDBytes)}")
        }
        if document.asObject != nil { reader.rejectUnknown() }
        guard reader.faults.isEmpty else { throw InvalidDocument(reader.faults) }
        return Annotation(id: id, time: time, text: text ?? "", funnelID: funnelID)
    }

    package var json: JSONValue {
        let members: [JSONValue.Member] = [
            .init("id", .text(id)), .init("time", .text(Timestamp.format(time))), .init("text", .string(text)),
        ]
        return .object(members + (funnelID.map { [.init("funnel_id", .string($0))] } ?? []))
    }
}

/// The annotations of all projects.
package struct Annotations: Sendable {
    package static let perProject = 1_000

    private let documents: SavedDocuments

    package init(_ store: any MetadataStore) {
        documents = SavedDocuments(store, noun: "annotation", prefix: "annotation/", limit: Self.perProject)
    }

    /// Nil if there is none.
    package func get(_ id: String, project: UInt32) async throws -> (annotation: Annotation, revision: UInt64)? {
        guard let entry = try await documents.get(id, project: project) else { return nil }
        return (try Self.read(entry, id), entry.revision)
    }

    /// Those in a range of times, by time.
    /// - Parameter funnel: leaves out those of other funnels.
    package func list(_ range: Range<Int64>, funnel: ByteString? = nil, project: UInt32) async throws -> [Annotation] {
        let all = try await documents.list(project: project).map { try Self.read($0.entry, $0.id) }
        return all.filter { range.contains($0.time) && (funnel == nil || $0.funnelID == nil || $0.funnelID == funnel) }
            .sorted { ($0.time, $0.id) < ($1.time, $1.id) }
    }

    package func put(
        _ annotation: Annotation, if precondition: FunnelPrecondition = .init(), project: UInt32
    ) async throws -> (revision: UInt64, created: Bool) {
        let value = annotation.json.encode()
        return try await documents.put(annotation.id, if: precondition, project: project) { _ in (value, []) }
    }

    package func delete(_ id: String, if precondition: FunnelPrecondition = .init(), project: UInt32) async throws {
        try await documents.delete(id, if: precondition, project: project)
    }

    private static func read(_ entry: Versioned, _ id: String) throws -> Annotation {
        do {
            return try Annotation.parse(try JSONParser.parse(entry.value), now: 0)
        } catch {
            throw ProtocolError(
                .invalidQuery, "annotation \"\(id)\" was saved by another version, and can't be read by this one: \(words(error))")
        }
    }
}
