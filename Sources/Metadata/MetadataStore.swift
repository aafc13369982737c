/// Where the coordinator keeps what must not be lost: definitions, keys, the cluster map. Narrow on purpose, so that a
/// replicated store can take SQLite's place.
package protocol MetadataStore: Sendable {
    /// The value and the revision it was written at; nil where there is none.
    func get(_ key: String) async throws -> Versioned?

    /// All keys with this prefix, in key order.
    func list(prefix: String) async throws -> [(key: String, entry: Versioned)]

    /// Writes, or deletes where `value` is nil, if the key is still at `expected` (0 = absent, nil = whatever it is).
    ///
    /// - Returns: the revision of the write, greater than any before it.
    /// - Throws: `RevisionConflict` where somebody was faster; nothing is changed then.
    func compareAndSet(_ key: String, expected: UInt64?, value: [UInt8]?) async throws -> UInt64

    /// Gives every later write a revision above this one.
    func raise(above revision: UInt64) async throws

    /// Returns once anything was written after `revision`, or after `patience`.
    ///
    /// - Returns: the revision of the newest write of all, to go on watching from.
    func watch(after revision: UInt64, patience: Duration) async -> UInt64
}

package struct Versioned: Equatable, Sendable {
    package var revision: UInt64
    package var value: [UInt8]
}

package struct RevisionConflict: Error, Equatable, CustomStringConvertible {
    /// The revision that the key is at; 0 = absent.
    package var current: UInt64

    package var description: String { current == 0 ? "nothing is saved there" : "it is at revision \(current)" }
}
