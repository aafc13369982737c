/// Where the coordinator keeps what must not be lost: definitions, keys, the cluster map. Narrow on purpose, so that a
/// replicated store can take SQLite's place.
package protocol MetadataStore: Sendable {
    /// The value and the revision it was written at; nil where there is none.
    func get(_ key: String) async throws -> Versioned?

    /// All keys with this prefix, in key order.
    func list(prefix: String) async throws -> [(key: String, entry: Versioned)]

    /// Makes all of some writes of different keys, or none.
    ///
    /// - Returns: the revision that they have in common, greater than any before it.
    /// - Throws: `RevisionConflict` where somebody was faster; nothing is changed then.
    func compareAndSet(_ writes: [MetadataWrite]) async throws -> UInt64

    /// Gives every later write a revision above this one.
    func raise(above revision: UInt64) async throws

    /// Returns once anything was written after `revision`, or after `patience`.
    ///
    /// - Returns: the revision of the newest write of all, to go on watching from.
    func watch(after revision: UInt64, patience: Duration) async -> UInt64
}

extension MetadataStore {
    /// The same of one key.
    package func compareAndSet(_ key: String, expected: UInt64?, value: [UInt8]?) async throws -> UInt64 {
        try await compareAndSet([MetadataWrite(key: key, expected: expected, value: value)])
    }
}

/// Writes a key, or deletes it where `value` is nil, if it is still at `expected` (0 = absent, nil = whatever it is).
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

package struct Versioned: Equatable, Sendable {
    package var revision: UInt64
    package var value: [UInt8]
}

package struct RevisionConflict: Error, Equatable, CustomStringConvertible {
    package var key: String
    /// The revision that the key is at; 0 = absent.
    package var current: UInt64

    package var description: String { current == 0 ? "nothing is saved there" : "it is at revision \(current)" }
}
