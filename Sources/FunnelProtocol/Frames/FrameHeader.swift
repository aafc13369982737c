import Codec
import FunnelModel

/// The kind of a frame's message. Layouts: `Protocol/PROTOCOL.md`.
package enum FrameKind: UInt8, CaseIterable, Sendable {
    case hello = 1
    case helloResult = 2
    case append = 3
    case appendResult = 4
    case query = 5
    case mergedResult = 6
    case partialQuery = 7
    case partialResult = 8
    case usersQuery = 9
    case partialUsersQuery = 10
    case userList = 11
    case health = 12
    case healthResult = 13
    case snapshotRequest = 14
    case snapshot = 15
    case error = 16
    case trailer = 17
    case discoveryQuery = 18
    case discoveryResult = 19
    case identityRequest = 20
    case identity = 21
    case shardAppend = 22
    case keyListRequest = 23
    case keyList = 24
    case ruleListRequest = 25
    case ruleList = 26
    case exportQuery = 27
    case exportPage = 28

    /// Max bytes of a body of this kind, encoded or decoded.
    package var bodyMax: Int {
        switch self {
        case .append, .shardAppend, .appendResult, .mergedResult, .exportPage: return Limits.frameBytes
        // 64 steps with 65,536 exact times each, from the first and from the previous step, and 64 MiB of groups.
        case .partialResult: return 128 << 20
        case .query, .usersQuery: return Limits.definitionBytes
        // Two definitions at their longest, or more of the usual size.
        case .partialQuery, .partialUsersQuery: return Limits.frameBytes
        case .userList, .snapshot, .ruleList: return 8 << 20
        case .hello, .helloResult, .health, .healthResult, .snapshotRequest, .identityRequest, .ruleListRequest: return 4_096
        case .identity: return 8_192
        case .error, .keyListRequest, .exportQuery: return 64 << 10
        case .keyList: return 1 << 20
        case .trailer: return 64
        case .discoveryQuery: return 16_384
        // 65,536 values with 32 MiB of text, and a number each.
        case .discoveryResult: return 64 << 20
        }
    }
}

/// The 64 bytes in front of every body. They are checked before memory is allocated for the body.
package struct FrameHeader: Equatable, Sendable {
    package static let size = 64
    package static let magic: UInt32 = 0x3143_4C53  // "SLC1"
    package static let version: UInt16 = 1
    package static let lz4Flag: UInt8 = 1

    package var kind: FrameKind
    package var context: FrameContext
    package var compressed: Bool
    package var encodedLength: Int
    package var decodedLength: Int
    package var bodyChecksum: UInt32

    package var bytes: [UInt8] {
        var out = ByteWriter(reserving: Self.size)
        out.integer(Self.magic)
        out.integer(Self.version)
        out.integer(kind.rawValue)
        out.integer(compressed ? Self.lz4Flag : 0)
        out.integer(context.cluster)
        out.integer(context.request)
        out.integer(context.project)
        out.integer(context.epoch)
        out.integer(UInt32(encodedLength))
        out.integer(UInt32(decodedLength))
        out.integer(bodyChecksum)
        out.append([UInt8](repeating: 0, count: 16))
        out.integer(CRC32C.checksum(out.bytes))
        return out.bytes
    }

    /// Checks, in this order: magic, header checksum, version, reserved bytes, kind, flags, lengths.
    package static func parse(_ bytes: [UInt8], at offset: Int = 0) throws(ProtocolError) -> FrameHeader {
        let parsed: Result<FrameHeader, ProtocolError>
        do {
            parsed = try parseFields(bytes, at: offset)
        } catch {
            throw ProtocolError(.malformedFrame, "frame header: \(error.reason)")
        }
        return try parsed.get()
    }

    private static func parseFields(_ bytes: [UInt8], at offset: Int) throws(ByteError) -> Result<FrameHeader, ProtocolError> {
        var reader = ByteReader(bytes, range: offset..<(offset + size))
        let magic: UInt32 = try reader.integer("magic")
        guard magic == Self.magic else { return .failure(.init(.malformedFrame, "frame does not begin with SLC1")) }
        let version: UInt16 = try reader.integer("version")
        let kindByte: UInt8 = try reader.integer("kind")
        let flags: UInt8 = try reader.integer("flags")
        var context = FrameContext()
        context.cluster = try reader.integer("cluster id")
        context.request = try reader.integer("request id")
        context.project = try reader.integer("project id")
        context.epoch = try reader.integer("map epoch")
        let encoded: UInt32 = try reader.integer("encoded length")
        let decoded: UInt32 = try reader.integer("decoded length")
        let bodySum: UInt32 = try reader.integer("body checksum")
        let reserved = try reader.take(16, "reserved bytes")
        let sum: UInt32 = try reader.integer("header checksum")
        guard CRC32C.checksum(bytes, range: offset..<(offset + size - 4)) == sum else {
            return .failure(.init(.badChecksum, "frame header checksum does not match"))
        }
        guard version == Self.version else {
            return .failure(.init(.unsupportedVersion, "protocol version \(version); this side speaks \(Self.version)"))
        }
        guard bytes[reserved].allSatisfy({ $0 == 0 }) else {
            return .failure(.init(.malformedFrame, "reserved header bytes are not zero"))
        }
        guard let kind = FrameKind(rawValue: kindByte) else {
            return .failure(.init(.unknownKind, "frame kind \(kindByte) is unknown"))
        }
        guard flags & ~lz4Flag == 0 else { return .failure(.init(.malformedFrame, "frame flags \(flags) are unknown")) }
        guard encoded <= UInt32(kind.bodyMax), decoded <= UInt32(kind.bodyMax) else {
            return .failure(.init(.tooLarge, "\(kind) body of \(max(encoded, decoded)) bytes is over the limit of \(kind.bodyMax)"))
        }
        let compressed = flags & lz4Flag != 0
        guard compressed || encoded == decoded else {
            return .failure(.init(.malformedFrame, "lengths differ in a frame that is not compressed"))
        }
        return .success(
            FrameHeader(
                kind: kind, context: context, compressed: compressed, encodedLength: Int(encoded),
                decodedLength: Int(decoded), bodyChecksum: bodySum))
    }
}

/// The part of a header that identifies a call: cluster, request, project and map epoch.
package struct FrameContext: Equatable, Sendable {
    /// 0 if the sender does not know it yet.
    package var cluster: UInt64 = 0
    package var request: UInt64 = 0
    /// 0 = the project of the key.
    package var project: UInt32 = 0
    /// Epoch of the cluster map that the sender acts by; 0 = none.
    package var epoch: UInt32 = 0

    package init(cluster: UInt64 = 0, request: UInt64 = 0, project: UInt32 = 0, epoch: UInt32 = 0) {
        self.cluster = cluster
        self.request = request
        self.project = project
        self.epoch = epoch
    }
}
