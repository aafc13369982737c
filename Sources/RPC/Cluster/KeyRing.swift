import Crypto
import FunnelModel
import FunnelProtocol

/// The API keys of a cluster, as hashes: those of the environment, and created ones.
///
/// Keys of the environment are looked up by their hash. They are long random texts, so one fast hash is enough. Nobody can choose a key
/// by the bits of its hash, so the time of a lookup reveals only whether the key is known.
package struct KeyRing: Sendable {
    private let configured: [[UInt8]: [ClusterSnapshot.Key]]
    private let operators: Set<[UInt8]>
    private let created: CreatedKeys?

    /// - Parameters:
    ///   - keys: those of the environment.
    ///   - operators: hashes of the admin keys that rule the whole cluster. Only the coordinator needs them.
    ///   - created: nil while the list of created keys has not arrived.
    package init(_ keys: [ClusterSnapshot.Key], operators: Set<[UInt8]> = [], created: CreatedKeys? = CreatedKeys()) {
        configured = Dictionary(grouping: keys, by: \.hash)
        self.operators = operators
        self.created = created
    }

    /// Whether the environment has no keys: then every caller may do everything, on loopback only. Without keys of the environment none
    /// can be created.
    package var isOpen: Bool { configured.isEmpty }

    /// What a caller may do, and in which project.
    package struct Principal: Equatable, Sendable {
        package var role: KeyRole
        package var project: UInt32
        /// Whether the caller rules all projects.
        package var isOperator = false
        /// Id of the created key; nil for keys of the environment.
        package var keyID: String?
        /// The first bytes of the key's hash, by which limits distinguish keys; 0 without keys.
        package var keyMark: UInt64

        package init(role: KeyRole, project: UInt32, isOperator: Bool = false, keyID: String? = nil, keyMark: UInt64 = 0) {
            self.role = role
            self.project = project
            self.isOperator = isOperator
            self.keyID = keyID
            self.keyMark = keyMark
        }

        /// Throws `.forbidden` unless the caller rules all projects.
        package func requireOperator() throws(ProtocolError) {
            guard isOperator else {
                throw ProtocolError(.forbidden, "this needs an operator's API key: one of SLUICE_ADMIN_KEYS without PROJECT:")
            }
        }
    }

    /// What is kept of a key that a caller sent.
    package struct Credential: Equatable, Sendable {
        package let hash: [UInt8]
        /// Id of the created key that it may be; nil if the text has not the form of one.
        fileprivate let id: String?

        package init(_ key: String) {
            hash = KeyRing.hash(key)
            id = APIKeyText(key)?.id
        }
    }

    /// Admits a caller by key.
    /// - Parameters:
    ///   - authorization: the header, `Bearer KEY`.
    ///   - origin: the page that sent the request; called only for a key that demands one.
    package func admit(
        _ authorization: String?, for needed: KeyRole, origin: () -> String? = { nil }
    ) throws(ProtocolError) -> Principal {
        if isOpen { return Self.everybody }
        return try admit(Credential(try Self.key(in: authorization)), for: needed, origin: origin)
    }

    /// The key in the `Authorization` header.
    package static func key(in authorization: String?) throws(ProtocolError) -> String {
        let scheme = "bearer "
        guard let authorization, authorization.prefix(scheme.count).lowercased() == scheme else {
            throw ProtocolError(.notAuthenticated, "a key is needed: Authorization: Bearer KEY")
        }
        return String(authorization.dropFirst(scheme.count))
    }

    /// The same for a key that was hashed before.
    /// - Parameter now: seconds since 1970.
    package func admit(
        _ credential: Credential, for needed: KeyRole, origin: () -> String? = { nil },
        now: @autoclosure () -> Int64 = Int64(wallMilliseconds() / 1_000)
    ) throws(ProtocolError) -> Principal {
        if isOpen { return Self.everybody }
        // A service with keys of the environment alone ends here, or at the next line: created keys cost it no clock, no lock and no
        // second lookup.
        if let same = configured[credential.hash] { return try admit(same, credential.hash, for: needed) }
        guard let id = credential.id else { throw Self.unknown }
        guard let created else {
            throw ProtocolError(.notReady, "the list of created API keys has not arrived from the coordinator yet; nothing was done")
        }
        guard let entry = created.find(id, hash: credential.hash) else { throw Self.unknown }
        return try admit(entry, for: needed, origin, now())
    }

    private func admit(_ same: [ClusterSnapshot.Key], _ hash: [UInt8], for needed: KeyRole) throws(ProtocolError) -> Principal {
        // One key may have several roles: the one that allows the call counts.
        guard let found = same.last(where: { $0.role.allows(needed) }) ?? same.first else { throw Self.unknown }
        try Self.require(needed, found.role)
        return Principal(
            role: found.role, project: found.project, isOperator: found.role == .admin && operators.contains(hash), keyMark: Self.mark(hash)
        )
    }

    private func admit(
        _ entry: CreatedKeys.Entry, for needed: KeyRole, _ origin: () -> String?, _ now: Int64
    ) throws(ProtocolError) -> Principal {
        let key = entry.key
        guard !key.isExpired(at: now) else { throw ProtocolError(.notAuthenticated, "the API key has expired") }
        try Self.require(needed, key.role)
        if !key.origins.isEmpty {
            let page = origin()
            guard let page, key.origins.contains(page) else {
                let sender = page.map { "of \($0.prefix(Limits.originBytes)), which is not one of them" } ?? "not a page"
                throw ProtocolError(.forbidden, "the API key is for pages of some origins; the sender is \(sender)")
            }
        }
        entry.use(at: now)
        return Principal(role: key.role, project: key.project, keyID: key.id, keyMark: Self.mark(key.hash))
    }

    private static func mark(_ hash: [UInt8]) -> UInt64 { hash.prefix(8).reduce(0) { $0 << 8 | UInt64($1) } }

    private static func require(_ needed: KeyRole, _ role: KeyRole) throws(ProtocolError) {
        guard role.allows(needed) else {
            let wanted = needed == .admin ? "admin" : "\(needed) or admin"
            throw ProtocolError(.forbidden, "the API key has the role \(role); this needs the role \(wanted)")
        }
    }

    private static let everybody = Principal(role: .admin, project: 1, isOperator: true)
    private static let unknown = ProtocolError(.notAuthenticated, "the key is not known")

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

    /// Hashes of the admin keys that rule the whole cluster: those that name no project.
    package static func operators(_ adminKeys: [String]) -> Set<[UInt8]> {
        Set(adminKeys.filter { parts($0).count == 1 }.map(hash))
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

extension KeyRole {
    fileprivate func allows(_ needed: KeyRole) -> Bool { self == needed || self == .admin }
}
