import FunnelModel
import FunnelProtocol
import Logging
import Metadata
import Notifications
import ServiceRuntime

/// Channels of all projects, with revisions.
package struct SavedChannels: Sendable {
    /// A channel and the revision at which it was saved.
    package struct Saved: Equatable, Sendable {
        package var channel: Channel
        package var revision: UInt64
    }

    package static let perProject = 50

    private let documents: SavedDocuments
    private let settings: NoticeSettings
    private let logger: Logger

    package init(_ store: any MetadataStore, settings: NoticeSettings, logger: Logger) {
        documents = SavedDocuments(store, noun: "channel", prefix: "channel/", limit: Self.perProject)
        self.settings = settings
        self.logger = logger
    }

    /// Nil if there is none. Throws `.invalidQuery` if this release cannot read it.
    package func get(_ id: String, project: UInt32) async throws -> Saved? {
        guard let entry = try await documents.get(id, project: project) else { return nil }
        return Saved(channel: try read(entry, id), revision: entry.revision)
    }

    /// All that this release can read, by id.
    package func list(project: UInt32) async throws -> [Saved] {
        try await documents.list(project: project).compactMap { id, entry in
            do {
                return Saved(channel: try read(entry, id), revision: entry.revision)
            } catch {
                logger.warning(
                    "a channel can't be read and is left out",
                    metadata: ["project": "\(project)", "channel": "\(id)", "error": "\(words(error))"])
                return nil
            }
        }
    }

    func ids(project: UInt32) async throws -> Set<ByteString> {
        Set(try await documents.list(project: project).map { ByteString($0.id) })
    }

    /// Saves a channel. Secrets that the document leaves out stay as they were.
    package func put(
        _ document: JSONValue, id: String, if precondition: FunnelPrecondition = .init(), project: UInt32
    ) async throws -> (saved: Saved, created: Bool) {
        var channel: Channel?
        let (revision, created) = try await documents.put(id, if: precondition, project: project) { entry in
            // A document that this release cannot read is replaced whole.
            let parsed = try Channel.parse(document, id: id, replacing: entry.flatMap { try? read($0, id) })
            try settings.check(parsed)
            channel = parsed
            return (parsed.stored.encode(), [])
        }
        guard let channel else { throw ProtocolError(.storageFailed, "the channel was not saved") }
        return (Saved(channel: channel, revision: revision), created)
    }

    package func delete(_ id: String, if precondition: FunnelPrecondition = .init(), project: UInt32) async throws {
        try await documents.delete(id, if: precondition, project: project)
    }

    private func read(_ entry: Versioned, _ id: String) throws -> Channel {
        do {
            return try Channel.parse(try JSONParser.parse(entry.value), id: id)
        } catch {
            throw ProtocolError(
                .invalidQuery, "channel \"\(id)\" was saved by another version, and can't be read by this one: \(words(error))")
        }
    }
}
