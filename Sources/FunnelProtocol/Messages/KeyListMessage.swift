import FunnelModel

/// Asks for the list of created API keys, and reports which of them were used; the answer may wait for another list.
package struct KeyListRequest: Equatable, Sendable {
    /// Version of the list that the sender has; 0 = none.
    package var known: UInt64
    package var waitMilliseconds: UInt32
    package var uses: [KeyUse]

    package init(known: UInt64, waitMilliseconds: UInt32, uses: [KeyUse] = []) {
        self.known = known
        self.waitMilliseconds = waitMilliseconds
        self.uses = uses
    }

    package var body: [UInt8] {
        var out = ByteWriter()
        out.integer(known)
        out.integer(waitMilliseconds)
        out.varint(UInt64(uses.count))
        for use in uses {
            out.string(ByteString(use.id))
            out.varint(UInt64(clamping: use.minute))
        }
        return out.bytes
    }

    package init(body: [UInt8]) throws(ByteError) {
        var reader = ByteReader(body)
        known = try reader.integer("known version")
        waitMilliseconds = try reader.integer("wait")
        uses = []
        for _ in 0..<(try reader.count(limit: Limits.keyUses, "uses")) {
            let id = try CreatedKey.readID(&reader)
            uses.append(KeyUse(id: id, minute: Int64(try reader.count(limit: Int(UInt32.max), "minute"))))
        }
        try reader.finish("key list request")
    }
}

/// The list of created API keys. It has a random version without an order: a service takes each list of another version.
package struct KeyListMessage: Equatable, Sendable {
    package var version: UInt64
    /// Nil if the asking service has this version.
    package var keys: [CreatedKey]?

    package init(version: UInt64, keys: [CreatedKey]?) {
        self.version = version
        self.keys = keys
    }

    package var body: [UInt8] {
        var out = ByteWriter()
        out.integer(version)
        out.integer(UInt8(keys == nil ? 0 : 1))
        guard let keys else { return out.bytes }
        out.varint(UInt64(keys.count))
        for key in keys { key.write(to: &out) }
        return out.bytes
    }

    package init(body: [UInt8]) throws(ByteError) {
        var reader = ByteReader(body)
        version = try reader.integer("version")
        guard version > 0 else { throw ByteError(offset: 0, reason: "version 0 of a key list") }
        let flag: UInt8 = try reader.integer("changed")
        guard flag <= 1 else { throw ByteError(offset: reader.offset, reason: "changed must be 0 or 1, not \(flag)") }
        if flag == 1 {
            var read: [CreatedKey] = []
            var ids: Set<String> = []
            for _ in 0..<(try reader.count(limit: Limits.keys, "keys")) {
                let key = try CreatedKey(from: &reader)
                guard ids.insert(key.id).inserted else { throw ByteError(offset: reader.offset, reason: "key \(key.id) is given twice") }
                read.append(key)
            }
            keys = read
        }
        try reader.finish("key list")
    }

    /// Max bytes that a key adds to the list.
    package static func bytes(of key: CreatedKey) -> Int {
        var out = ByteWriter()
        key.write(to: &out)
        return out.count
    }
}

extension CreatedKey {
    fileprivate func write(to out: inout ByteWriter) {
        out.string(ByteString(id))
        out.integer(role.rawValue)
        out.integer(project)
        out.append(hash)
        out.varint(UInt64(clamping: expires ?? 0))
        out.varint(UInt64(origins.count))
        for origin in origins { out.string(ByteString(origin)) }
    }

    fileprivate init(from reader: inout ByteReader) throws(ByteError) {
        id = try Self.readID(&reader)
        let raw: UInt8 = try reader.integer("role")
        guard let role = KeyRole(rawValue: raw) else { throw ByteError(offset: reader.offset, reason: "key role \(raw) is unknown") }
        self.role = role
        project = try reader.integer("project")
        guard project > 0 else { throw ByteError(offset: reader.offset, reason: "project 0 of a key") }
        hash = Array(reader.bytes[try reader.take(ClusterSnapshot.hashBytes, "hash")])
        let seconds = try reader.varint("expires")
        guard let expires = Int64(exactly: seconds) else { throw ByteError(offset: reader.offset, reason: "expires is over the limit") }
        self.expires = expires == 0 ? nil : expires
        origins = []
        for _ in 0..<(try reader.count(limit: Limits.originsPerKey, "origins")) {
            origins.append(try reader.string(limit: Limits.originBytes, "origin").string)
        }
        guard origins.isEmpty || role == .write, !origins.contains("") else {
            throw ByteError(offset: reader.offset, reason: "origins of a key of the role \(role), or an empty one")
        }
    }

    fileprivate static func readID(_ reader: inout ByteReader) throws(ByteError) -> String {
        let id = try reader.string(limit: Limits.keyIDBytes, "id")
        guard isID(id) else { throw ByteError(offset: reader.offset, reason: "the id of a key must have characters of 0-9 and a-z") }
        return id.string
    }

    /// Whether a text can be the id of a key.
    package static func isID(_ text: ByteString) -> Bool {
        !text.isEmpty && text.count <= Limits.keyIDBytes
            && text.bytes.allSatisfy { (48...57).contains($0) || (97...122).contains($0) }
    }
}
