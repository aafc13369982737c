import FunnelModel

/// The kind of process at one end of a connection.
package enum Role: UInt8, CaseIterable, Sendable {
    case client = 1
    case ingest = 2
    case coordinator = 3
    case shard = 4
}

/// The first call of a connection. A client sends phase 1 only; a service then sends phase 2 with its proof.
package struct Hello: Equatable, Sendable {
    package static let nonceBytes = 16
    package static let proofBytes = 32

    package var role: Role
    /// 1 opens, 2 proves.
    package var phase: UInt8
    package var versionMin: UInt16
    package var versionMax: UInt16
    package var nonce: [UInt8]
    /// Zeros in phase 1; in phase 2 HMAC-SHA256 of the cluster secret over `proofText`.
    package var proof: [UInt8]

    package init(
        role: Role, phase: UInt8, versionMin: UInt16 = FrameHeader.version, versionMax: UInt16 = FrameHeader.version,
        nonce: [UInt8], proof: [UInt8] = [UInt8](repeating: 0, count: proofBytes)
    ) {
        self.role = role
        self.phase = phase
        self.versionMin = versionMin
        self.versionMax = versionMax
        self.nonce = nonce
        self.proof = proof
    }

    /// The text that a side ("client" or "server") signs: both nonces, and the client's role.
    package static func proofText(side: String, clientNonce: [UInt8], serverNonce: [UInt8], role: Role) -> [UInt8] {
        Array("sluice/1 \(side)\n".utf8) + clientNonce + serverNonce + [role.rawValue]
    }

    package var body: [UInt8] {
        var out = ByteWriter()
        out.integer(role.rawValue)
        out.integer(phase)
        out.integer(versionMin)
        out.integer(versionMax)
        out.append(nonce)
        out.append(proof)
        return out.bytes
    }

    package init(body: [UInt8]) throws(ByteError) {
        var reader = ByteReader(body)
        role = try readRole(&reader)
        phase = try reader.integer("phase")
        guard phase == 1 || phase == 2 else { throw ByteError(offset: 1, reason: "phase \(phase) is unknown") }
        versionMin = try reader.integer("version")
        versionMax = try reader.integer("version")
        nonce = Array(body[try reader.take(Self.nonceBytes, "nonce")])
        proof = Array(body[try reader.take(Self.proofBytes, "proof")])
        try reader.finish("hello")
    }
}

/// Answer of the hello call. The proof is the server's, over `Hello.proofText`, in both phases.
package struct HelloResult: Equatable, Sendable {
    package var role: Role
    package var version: UInt16
    package var cluster: UInt64
    package var epoch: UInt32
    package var nonce: [UInt8]
    package var proof: [UInt8]

    package init(role: Role, version: UInt16, cluster: UInt64, epoch: UInt32, nonce: [UInt8], proof: [UInt8]) {
        self.role = role
        self.version = version
        self.cluster = cluster
        self.epoch = epoch
        self.nonce = nonce
        self.proof = proof
    }

    package var body: [UInt8] {
        var out = ByteWriter()
        out.integer(role.rawValue)
        out.integer(version)
        out.integer(cluster)
        out.integer(epoch)
        out.append(nonce)
        out.append(proof)
        return out.bytes
    }

    package init(body: [UInt8]) throws(ByteError) {
        var reader = ByteReader(body)
        role = try readRole(&reader)
        version = try reader.integer("version")
        cluster = try reader.integer("cluster")
        epoch = try reader.integer("epoch")
        nonce = Array(body[try reader.take(Hello.nonceBytes, "nonce")])
        proof = Array(body[try reader.take(Hello.proofBytes, "proof")])
        try reader.finish("hello result")
    }
}

func readRole(_ reader: inout ByteReader) throws(ByteError) -> Role {
    let raw: UInt8 = try reader.integer("role")
    guard let role = Role(rawValue: raw) else { throw ByteError(offset: 0, reason: "role \(raw) is unknown") }
    return role
}

/// Answer of the health call.
package struct HealthResult: Equatable, Sendable {
    package var role: Role
    package var ready: Bool
    package var epoch: UInt32

    package init(role: Role, ready: Bool, epoch: UInt32) {
        self.role = role
        self.ready = ready
        self.epoch = epoch
    }

    package var body: [UInt8] {
        var out = ByteWriter()
        out.integer(role.rawValue)
        out.integer(UInt8(ready ? 1 : 0))
        out.integer(epoch)
        return out.bytes
    }

    package init(body: [UInt8]) throws(ByteError) {
        var reader = ByteReader(body)
        role = try readRole(&reader)
        let flag: UInt8 = try reader.integer("ready")
        ready = flag != 0
        epoch = try reader.integer("epoch")
        try reader.finish("health result")
    }
}
