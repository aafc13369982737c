import Crypto
import FunnelModel
import FunnelProtocol

/// The keys of a cluster, as hashes. Keys are long random texts, so one fast hash is enough, and every key is compared,
/// in constant time, whichever matches.
package struct KeyRing: Sendable {
    private let keys: [ClusterSnapshot.Key]

    package init(_ keys: [ClusterSnapshot.Key]) { self.keys = keys }

    /// Without keys everybody on the machine may do everything, on loopback only.
    package var isOpen: Bool { keys.isEmpty }

    /// What a caller may do, and in which project.
    package struct Principal: Equatable, Sendable {
        package var role: KeyRole
        package var project: UInt32
    }

    /// - Parameter authorization: the header, `Bearer KEY`.
    package func admit(_ authorization: String?, for needed: KeyRole) throws(ProtocolError) -> Principal {
        if isOpen { return Principal(role: .admin, project: 1) }
        guard let authorization, authorization.lowercased().hasPrefix("bearer ") else {
            throw ProtocolError(.notAuthenticated, "a key is needed: Authorization: Bearer KEY")
        }
        return try admit(hash: Self.hash(String(authorization.dropFirst("bearer ".count))), for: needed)
    }

    /// The same for a key whose hash is known.
    package func admit(hash: [UInt8], for needed: KeyRole) throws(ProtocolError) -> Principal {
        if isOpen { return Principal(role: .admin, project: 1) }
        var found: ClusterSnapshot.Key?
        // One key may stand under several roles: the one that allows the call counts.
        for key in keys where Self.equal(key.hash, hash) {
            if found == nil || key.role == needed || key.role == .admin { found = key }
        }
        guard let found else { throw ProtocolError(.notAuthenticated, "the key is not known") }
        guard found.role == needed || found.role == .admin else {
            throw ProtocolError(.forbidden, "this is a \(found.role) key; a \(needed) key is needed")
        }
        return Principal(role: found.role, project: found.project)
    }

    package static func hash(_ key: String) -> [UInt8] { Array(SHA256.hash(data: Array(key.utf8))) }

    private static func equal(_ a: [UInt8], _ b: [UInt8]) -> Bool {
        guard a.count == b.count else { return false }
        var difference: UInt8 = 0
        for i in a.indices { difference |= a[i] ^ b[i] }
        return difference == 0
    }

    /// Keys as configured: a comma list, each `KEY` or `PROJECT:KEY`. Hashed here and forgotten.
    package static func parse(_ list: [String], role: KeyRole, setting: String) throws(InvalidDocument) -> [ClusterSnapshot.Key] {
        var keys: [ClusterSnapshot.Key] = []
        var faults: [FieldFault] = []
        for (i, entry) in list.enumerated() {
            let parts = entry.split(separator: ":", maxSplits: 1).map(String.init)
            let project = parts.count == 2 ? UInt32(parts[0]) : 1
            let key = parts.last ?? ""
            if let project, project > 0, key.utf8.count >= 8 {
                keys.append(.init(role: role, project: project, hash: hash(key)))
            } else {
                faults.append(FieldFault(setting, "entry \(i + 1) must be KEY or PROJECT:KEY, the key of 8 bytes or more"))
            }
        }
        if !faults.isEmpty { throw InvalidDocument(faults) }
        return keys
    }
}
