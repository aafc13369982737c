import FunnelModel
import FunnelProtocol

/// A created API key as the coordinator stores it.
package struct KeyRecord: Equatable, Sendable {
    package var key: CreatedKey
    /// For people; nil if none was given.
    package var name: String?
    /// Seconds since 1970.
    package var created: Int64
    /// Id of the key that created it, or `environment`.
    package var creator: String

    package static let environment = "environment"

    package init(key: CreatedKey, name: String?, created: Int64, creator: String) {
        self.key = key
        self.name = name
        self.created = created
        self.creator = creator
    }
}

/// Why a stored key cannot be read; a later release may have stored it. Such a key does not work.
package struct UnreadableKey: Error, Equatable, CustomStringConvertible {
    package var id: String
    package var reason: String

    package var description: String { "API key \(id): \(reason)" }
}

extension KeyRecord {
    /// JSON of at most 8 KiB.
    var value: [UInt8] {
        let members: [JSONValue.Member] = [
            .init("role", .text(key.role.name)), .init("project", .integer(Int64(key.project))),
            .init("sha256", .text(Hex.text(key.hash))), .init("name", name.map { .text($0) } ?? .null),
            .init("created", .integer(created)), .init("created_by", .text(creator)),
            .init("expires", key.expires.map { .integer($0) } ?? .null), .init("origins", .array(key.origins.map { .text($0) })),
        ]
        return JSONValue.object(members).encode()
    }

    /// An unknown member is an error: it may be a condition that this release would not check.
    init(id: String, value: [UInt8]) throws(UnreadableKey) {
        let document: JSONValue
        do throws(JSONError) {
            document = try JSONParser.parse(value)
        } catch {
            throw UnreadableKey(id: id, reason: "\(error)")
        }
        var reader = FieldReader(document)
        let role = reader.string("role").flatMap { KeyRole(name: $0.string) }
        let project = reader.integer("project", in: 1...Int64(UInt32.max))
        let hash = reader.string("sha256").flatMap { Hex.bytes($0.string) }
        let name = reader.string("name")?.string
        let created = reader.integer("created", in: 0...Int64.max)
        let creator = reader.string("created_by")?.string
        let expires = reader.integer("expires", in: 1...Int64.max)
        let origins = (reader.value("origins")?.asArray ?? []).map { $0.asString?.string }
        reader.rejectUnknown()
        if let fault = reader.faults.first { throw UnreadableKey(id: id, reason: "\(fault.field) \(fault.reason)") }
        guard CreatedKey.isID(ByteString(id)), let role, let project, let hash, hash.count == ClusterSnapshot.hashBytes, let created,
            let creator, !origins.contains(nil), origins.count <= Limits.originsPerKey, origins.isEmpty || role == .write
        else { throw UnreadableKey(id: id, reason: "a member is missing, or has a value that this release does not know") }
        key = CreatedKey(
            id: id, role: role, project: UInt32(truncatingIfNeeded: project), hash: hash, expires: expires,
            origins: origins.compactMap(\.self))
        self.name = name
        self.created = created
        self.creator = creator
    }
}
