/// The coordinator's durable storage: definitions, keys, the cluster map. Narrow on purpose, so that a replicated store can replace
/// SQLite.
package protocol MetadataStore: Sendable {
    /// The value and the revision at which it was written; nil if the key is absent.
    func get(_ key: String) async throws -> Versioned?

    /// All keys with this prefix, in key order.
    func list(prefix: String) async throws -> [(key: String, entry: Versioned)]

    /// Applies writes to different keys, all or none.
    ///
    /// - Returns: the revision of all these writes, greater than any before it.
    /// - Throws: `RevisionConflict` if a key is not at the expected revision; then nothing is changed.
    func compareAndSet(_ writes: [MetadataWrite]) async throws -> UInt64

    /// Makes the revisions of all later writes greater than `revision`.
    func raise(above revision: UInt64) async throws

    /// Waits for a write with a greater revision, but not longer than `patience`.
    ///
    /// - Returns: the revision of the newest write, for the next call.
    func watch(after revision: UInt64, patience: Duration) async -> UInt64
}

extension MetadataStore {
    /// Writes one key, or deletes it.
    package func compareAndSet(_ key: String, expected: UInt64?, value: [UInt8]?) async throws -> UInt64 {
        try await compareAndSet([MetadataWrite(key: key, expected: expected, value: value)])
    }
}

/// Writes a key, or deletes it if `value` is nil, provided that it is at revision `expected` (0 = absent, nil = any).
package struct MetadataWrite: Sendable {
    package var key: String
    package var expected: UInt64?
    package var value: [UInt8]?

    package init(key: String, expected: UInt64?, value: [UInt8]?) {
        self.key = key
        self.expected = expected
        self.value = value
    }
}

/// A value with the revision at which it was written.
package struct Versioned: Equatable, Sendable {
    package var revision: UInt64
    package var value: [UInt8]
}

/// A key was not at the expected revision.
package struct RevisionConflict: Error, Equatable, CustomStringConvertible {
    package var key: String
    /// The revision that the key is at; 0 = absent.
    package var current: UInt64

    package var description: String { current == 0 ? "nothing is saved there" : "it is at revision \(current)" }
}
