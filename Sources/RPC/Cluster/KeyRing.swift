import Crypto
import FunnelModel
import FunnelProtocol

/// The keys of a cluster, as hashes. Keys are long random texts, so one fast hash is enough. Nobody can choose a key by the
/// bits of its hash, so the time of a lookup reveals only whether the key is known.
package struct KeyRing: Sendable {
    private let keys: [[UInt8]: [ClusterSnapshot.Key]]

    package init(_ keys: [ClusterSnapshot.Key]) { self.keys = Dictionary(grouping: keys, by: \.hash) }

    /// Whether there are no keys: then every caller may do everything, on loopback only.
    package var isOpen: Bool { keys.isEmpty }

    /// What a caller may do, and in which project.
    package struct Principal: Equatable, Sendable {
        package var role: KeyRole
        package var project: UInt32
    }

    /// Admits a caller by key.
    /// - Parameter authorization: the header, `Bearer KEY`.
    package func admit(_ authorization: String?, for needed: KeyRole) throws(ProtocolError) -> Principal {
        if isOpen { return Principal(role: .admin, project: 1) }
        return try admit(hash: Self.hash(try Self.key(in: authorization)), for: needed)
    }

    /// The key in the `Authorization` header.
    package static func key(in authorization: String?) throws(ProtocolError) -> String {
        let scheme = "bearer "
        guard let authorization, authorization.prefix(scheme.count).lowercased() == scheme else {
            throw ProtocolError(.notAuthenticated, "a key is needed: Authorization: Bearer KEY")
        }
        return String(authorization.dropFirst(scheme.count))
    }

    /// The same for a key whose hash is known.
    package func admit(hash: [UInt8], for needed: KeyRole) throws(ProtocolError) -> Principal {
        if isOpen { return Principal(role: .admin, project: 1) }
        guard let same = keys[hash], let first = same.first else { throw ProtocolError(.notAuthenticated, "the key is not known") }
        // One key may have several roles: the one that allows the call counts.
        let found = same.last { $0.role == needed || $0.role == .admin } ?? first
        guard found.role == needed || found.role == .admin else {
            let wanted = needed == .admin ? "admin" : "\(needed) or admin"
            throw ProtocolError(.forbidden, "the API key has the role \(found.role); this needs the role \(wanted)")
        }
        return Principal(role: found.role, project: found.project)
    }

    package static func hash(_ key: String) -> [UInt8] { Array(SHA256.hash(data: Array(key.utf8))) }

    /// `KEY` or `PROJECT:KEY`. Either part may be empty, which is a fault: `KEY:` with a variable that is not set must not become the
    /// key of another project.
    private static func parts(_ entry: String) -> [String] {
        entry.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    }

    /// A key of fewer bytes may be guessed.
    package static let shortKeyBytes = 16

    /// Places, from 1, of the short keys in a configured list. Callers accept them, with a warning.
    package static func shortEntries(_ list: [String]) -> [Int] {
        list.indices.filter { (parts(list[$0]).last ?? "").utf8.count < shortKeyBytes }.map { $0 + 1 }
    }

    /// Reads keys as configured, each `KEY` or `PROJECT:KEY`, and keeps only their hashes.
    package static func parse(_ list: [String], role: KeyRole, setting: String) throws(InvalidDocument) -> [ClusterSnapshot.Key] {
        var keys: [ClusterSnapshot.Key] = []
        var faults: [FieldFault] = []
        for (i, entry) in list.enumerated() {
            let parts = parts(entry)
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
