import FunnelModel

/// A created API key, as services know it: everything but its text.
package struct CreatedKey: Equatable, Sendable {
    package var id: String
    package var role: KeyRole
    package var project: UInt32
    /// SHA-256 of the text.
    package var hash: [UInt8]
    /// Seconds since 1970; nil if the key does not expire.
    package var expires: Int64?
    /// Pages that may send requests with the key, in the form of `PageOrigin`; empty for any sender.
    package var origins: [String]

    package init(id: String, role: KeyRole, project: UInt32, hash: [UInt8], expires: Int64? = nil, origins: [String] = []) {
        self.id = id
        self.role = role
        self.project = project
        self.hash = hash
        self.expires = expires
        self.origins = origins
    }

    /// - Parameter now: seconds since 1970.
    package func isExpired(at now: Int64) -> Bool { expires.map { $0 <= now } ?? false }
}

/// A minute in which a created key was used.
package struct KeyUse: Equatable, Sendable {
    package var id: String
    /// Minutes since 1970.
    package var minute: Int64

    package init(id: String, minute: Int64) {
        self.id = id
        self.minute = minute
    }
}

extension Limits {
    package static let keysPerProject = 200
    package static let keys = 10_000
    /// Bytes of the list of all created keys. Services keep the list in a file that is read up to 1 MiB.
    package static let keyListBytes = 1_000_000
    /// Bytes of a project's keys in that list, so that one project cannot fill it.
    package static let keyListBytesPerProject = 100_000
    package static let keyIDBytes = 16
    package static let keyNameBytes = 100
    package static let originsPerKey = 20
    package static let originBytes = 255
    /// Uses that a service reports at a time.
    package static let keyUses = 2_000
    /// Projects of a cluster. Those of keys of the environment are counted, and never refused.
    package static let projects = 1_000
    package static let projectNameBytes = 100
}
