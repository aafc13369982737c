import FunnelModel
import FunnelProtocol

/// The body of `POST /v1/keys`.
package struct KeyRequest: Equatable, Sendable {
    package var role: KeyRole
    package var name: String?
    /// Nil for the project of the caller.
    package var project: UInt32?
    /// Seconds since 1970; nil if the key does not expire.
    package var expires: Int64?
    package var origins: [String]

    package static let bytesMax = 16 << 10
    private static let lifetimeMax: Microseconds = 316_224_000_000_000
    private static let lifetimeMin: Microseconds = 60_000_000

    /// Reads a body. Throws all faults at once.
    /// - Parameter now: microseconds since 1970.
    package static func parse(_ document: JSONValue, now: Int64) throws(InvalidDocument) -> KeyRequest {
        var reader = FieldReader(document)
        let role = readRole(&reader)
        let name = AccessName.read("name", limit: Limits.keyNameBytes, &reader)
        let project = reader.integer("project", in: 1...Int64(UInt32.max)).map { UInt32(truncatingIfNeeded: $0) }
        let expires = readExpiry(&reader, now)
        let origins = readOrigins(&reader, role)
        reader.rejectUnknown()
        guard let role, reader.faults.isEmpty else { throw InvalidDocument(reader.faults) }
        return KeyRequest(role: role, name: name, project: project, expires: expires, origins: origins)
    }

    private static func readRole(_ reader: inout FieldReader) -> KeyRole? {
        let before = reader.faults.count
        guard let text = reader.string("role") else {
            if reader.faults.count == before { reader.fault("role", "is required: write, read or admin") }
            return nil
        }
        let role = KeyRole(name: text.string)
        if role == nil { reader.fault("role", "must be write, read or admin; \"\(text.string)\" is not") }
        return role
    }

    private static func readExpiry(_ reader: inout FieldReader, _ now: Int64) -> Int64? {
        let lifetime = reader.duration("expires_in", in: lifetimeMin...lifetimeMax)
        guard let text = reader.string("expires_at") else { return lifetime.map { (now + $0.count) / 1_000_000 } }
        if lifetime != nil { reader.fault("expires_at", "is given beside expires_in; one of them is enough") }
        do throws(Timestamp.Fault) {
            let time = try Timestamp.parse(text)
            guard time > now, time <= now + lifetimeMax.count else {
                reader.fault("expires_at", "must be a time ahead of now, at most \(lifetimeMax); a duration such as 90d is expires_in")
                return nil
            }
            return time / 1_000_000
        } catch {
            reader.fault("expires_at", error.reason)
            return nil
        }
    }

    private static func readOrigins(_ reader: inout FieldReader, _ role: KeyRole?) -> [String] {
        guard let value = reader.value("origins") else { return [] }
        guard let list = value.asArray else {
            reader.fault("origins", "must be an array, not \(value.typeName)")
            return []
        }
        guard list.count <= Limits.originsPerKey else {
            reader.fault("origins", "has \(list.count) entries; the limit is \(Limits.originsPerKey)")
            return []
        }
        if !list.isEmpty, let role, role != .write { reader.fault("origins", "are for the role write only; the role is \(role.name)") }
        var origins: [String] = []
        for (i, item) in list.enumerated() {
            guard let origin = item.asString.flatMap({ PageOrigin($0.string) }) else {
                reader.fault(
                    "origins[\(i)]", "must be scheme, host and port of a page without a path, such as https://shop.example")
                continue
            }
            if !origins.contains(origin.text) { origins.append(origin.text) }
        }
        return origins
    }
}
