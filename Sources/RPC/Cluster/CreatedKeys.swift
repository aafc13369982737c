import FunnelModel
import FunnelProtocol
import Synchronization

/// The created API keys that are in force, by id, and when each was last used.
package final class CreatedKeys: Sendable {
    /// A key and its uses. A new list of keys takes over the entries of keys that it has unchanged.
    package final class Entry: Sendable {
        package let key: CreatedKey
        /// Minutes since 1970 of the last use here; 0 = none.
        fileprivate let used = Atomic<Int64>(0)
        fileprivate let reported = Atomic<Int64>(0)

        fileprivate init(_ key: CreatedKey) { self.key = key }

        /// Notes a use. Most requests only load one word: the minute changes rarely.
        func use(at seconds: Int64) {
            let minute = seconds / 60
            if used.load(ordering: .relaxed) < minute { used.store(minute, ordering: .relaxed) }
        }
    }

    private let entries: [String: Entry]

    /// - Parameter earlier: the list that this one replaces.
    package init(_ keys: [CreatedKey] = [], replacing earlier: CreatedKeys? = nil) {
        entries = Dictionary(keys.map { key in (key.id, earlier?.entry(key) ?? Entry(key)) }) { $1 }
    }

    private func entry(_ key: CreatedKey) -> Entry? {
        guard let entry = entries[key.id], entry.key == key else { return nil }
        return entry
    }

    package var count: Int { entries.count }

    /// The key with this id and hash. Ids are not secret; the time of the comparison does not depend on the hash, nor on whether
    /// there is a key with this id.
    func find(_ id: String, hash: [UInt8]) -> Entry? {
        let found = entries[id]
        return Self.isEqual(found?.key.hash ?? Self.noHash, hash) ? found : nil
    }

    private static let noHash = [UInt8](repeating: 0, count: ClusterSnapshot.hashBytes)

    private static func isEqual(_ a: [UInt8], _ b: [UInt8]) -> Bool {
        guard a.count == b.count else { return false }
        var difference: UInt8 = 0
        for i in a.indices { difference |= a[i] ^ b[i] }
        return difference == 0
    }

    // MARK: Uses

    /// Uses that were not reported yet, at most `limit`.
    package func unreportedUses(limit: Int) -> [KeyUse] {
        var uses: [KeyUse] = []
        for (id, entry) in entries {
            let minute = entry.used.load(ordering: .relaxed)
            guard minute > entry.reported.load(ordering: .relaxed) else { continue }
            uses.append(KeyUse(id: id, minute: minute))
            if uses.count == limit { break }
        }
        return uses
    }

    /// Marks uses as reported.
    package func didReport(_ uses: [KeyUse]) {
        for use in uses { entries[use.id]?.reported.store(use.minute, ordering: .relaxed) }
    }
}
