import FunnelModel
import FunnelProtocol

/// Created API keys in the metadata: an entry for each key, and one for each project with the times when its keys were used. No
/// entry has more than 8 KiB.
package struct KeyStore: Sendable {
    private let store: any MetadataStore
    private static let keyPrefix = "api-key/"
    private static let usesPrefix = "api-key-uses/"

    package init(_ store: any MetadataStore) { self.store = store }

    /// All keys, and those that this release cannot read.
    package func all() async throws -> (keys: [KeyRecord], unreadable: [UnreadableKey]) {
        var keys: [KeyRecord] = []
        var unreadable: [UnreadableKey] = []
        for (entry, stored) in try await store.list(prefix: Self.keyPrefix) {
            do throws(UnreadableKey) {
                keys.append(try KeyRecord(id: String(entry.dropFirst(Self.keyPrefix.count)), value: stored.value))
            } catch {
                unreadable.append(error)
            }
        }
        return (keys, unreadable)
    }

    /// Adds a key and removes others, all or none. Throws `RevisionConflict` if there is a key with this id.
    package func add(_ record: KeyRecord, removing old: [String]) async throws {
        let removals = old.map { MetadataWrite(key: Self.keyPrefix + $0, expected: nil, value: nil) }
        _ = try await store.compareAndSet(
            [MetadataWrite(key: Self.keyPrefix + record.key.id, expected: 0, value: record.value)] + removals)
    }

    /// Removes a key; nothing of it is left.
    package func remove(_ id: String) async throws {
        _ = try await store.compareAndSet(Self.keyPrefix + id, expected: nil, value: nil)
    }

    /// Minutes since 1970 of the last uses, by id.
    package func uses() async throws -> [String: Int64] {
        var uses: [String: Int64] = [:]
        for (_, stored) in try await store.list(prefix: Self.usesPrefix) {
            // A value that is damaged costs times of uses, and no key.
            for member in (try? JSONParser.parse(stored.value))?.asObject ?? [] {
                if let minute = member.value.asInteger { uses[member.key.string] = minute }
            }
        }
        return uses
    }

    /// Replaces the uses of some projects' keys, all or none.
    package func write(uses: [UInt32: [KeyUse]]) async throws {
        let writes = uses.sorted { $0.key < $1.key }.map { project, uses in
            let value = JSONValue.object(uses.sorted { $0.id < $1.id }.map { .init(ByteString($0.id), .integer($0.minute)) })
            return MetadataWrite(key: Self.usesPrefix + "\(project)", expected: nil, value: uses.isEmpty ? nil : value.encode())
        }
        if !writes.isEmpty { _ = try await store.compareAndSet(writes) }
    }
}
