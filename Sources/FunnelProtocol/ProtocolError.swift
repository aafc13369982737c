import FunnelModel

/// An error of a call, as it is sent. The table `Code.traits` decides whether it may be retried, and its HTTP status.
package struct ProtocolError: Error, Equatable, Sendable, CustomStringConvertible {
    package var code: Code
    package var message: String
    /// Faulty fields of a definition or query, with reasons.
    package var faults: [FieldFault] = []
    /// Names of the shards concerned.
    package var shards: [String] = []
    package var retryAfterMilliseconds: UInt32 = 0
    /// The limit that refused the request, if it has a name. Not sent on the wire.
    package var limit: RequestLimit?

    package init(
        _ code: Code, _ message: String, faults: [FieldFault] = [], shards: [String] = [], limit: RequestLimit? = nil
    ) {
        self.code = code
        self.message = message
        self.faults = faults
        self.shards = shards
        self.limit = limit
        if code == .overloaded || code == .notReady { retryAfterMilliseconds = 1_000 }
    }

    /// What the caller may conclude about the call's effect.
    package enum Outcome: UInt8, Sendable {
        /// Nothing was done.
        case refused = 0
        /// It may have been done.
        case unknown = 1
        /// It was tried and did not work. The message says what was done, if anything.
        case failed = 2
    }

    /// The codes on the wire; `PROTOCOL.md` section 12 says when each is used. `unknownError` is `internal` there.
    package enum Code: UInt16, CaseIterable, Sendable {
        case malformedFrame = 1
        case unsupportedVersion = 2
        case tooLarge = 3
        case badChecksum = 4
        case damagedCompression = 5
        case unknownKind = 6
        case invalidMessage = 7
        case truncatedAnswer = 8
        case foreignCluster = 9
        case wrongEpoch = 10
        case wrongBucket = 11
        case notAuthenticated = 12
        case forbidden = 13
        case invalidQuery = 14
        case unknownFunnel = 15
        case overloaded = 16
        case notReady = 17
        case shardUnavailable = 18
        case deadlineExceeded = 19
        case cancelled = 20
        case sequenceExpired = 21
        case storageFull = 22
        case storageFailed = 23
        case workBudget = 24
        case connectionLost = 25
        case unknownError = 26
        case conflict = 27
        case unreachable = 28
        case ambiguousFunnel = 29
        case sequenceReused = 30
    }

    package var outcome: Outcome { code.traits.outcome }
    package var retryable: Bool { code.traits.retryable }
    /// 429 if the caller exceeds a rate, or must wait before it tries another key.
    package var httpStatus: Int {
        limit?.isRate == true || code == .notAuthenticated && retryAfterMilliseconds > 0 ? 429 : code.traits.httpStatus
    }

    package var description: String { "\(code.traits.name): \(message)" }

    package static let faultsMax = 1_000
    package static let textMax = 4_096
}

extension ProtocolError.Code {
    /// Outcome, retryable, HTTP status and the name used in texts and metrics.
    package var traits: (outcome: ProtocolError.Outcome, retryable: Bool, httpStatus: Int, name: String) {
        switch self {
        case .malformedFrame: return (.refused, false, 400, "malformed_frame")
        case .unsupportedVersion: return (.refused, false, 400, "unsupported_version")
        case .tooLarge: return (.refused, false, 413, "too_large")
        case .badChecksum: return (.refused, true, 400, "bad_checksum")
        case .damagedCompression: return (.refused, false, 400, "damaged_compression")
        case .unknownKind: return (.refused, false, 400, "unknown_kind")
        case .invalidMessage: return (.refused, false, 400, "invalid_message")
        case .truncatedAnswer: return (.unknown, true, 502, "truncated_answer")
        case .foreignCluster: return (.refused, false, 421, "foreign_cluster")
        case .wrongEpoch: return (.refused, true, 409, "wrong_epoch")
        case .wrongBucket: return (.refused, false, 421, "wrong_bucket")
        case .notAuthenticated: return (.refused, false, 401, "not_authenticated")
        case .forbidden: return (.refused, false, 403, "forbidden")
        case .invalidQuery: return (.refused, false, 422, "invalid_query")
        case .unknownFunnel: return (.refused, false, 404, "unknown_funnel")
        case .overloaded: return (.refused, true, 503, "overloaded")
        case .notReady: return (.refused, true, 503, "not_ready")
        case .shardUnavailable: return (.unknown, true, 503, "shard_unavailable")
        case .deadlineExceeded: return (.unknown, true, 504, "deadline_exceeded")
        case .cancelled: return (.unknown, false, 499, "cancelled")
        case .sequenceExpired: return (.unknown, false, 409, "sequence_expired")
        case .storageFull: return (.refused, true, 507, "storage_full")
        case .storageFailed: return (.unknown, true, 503, "storage_failed")
        case .workBudget: return (.failed, false, 422, "work_budget")
        case .connectionLost: return (.unknown, true, 503, "connection_lost")
        case .unknownError: return (.failed, false, 500, "internal")
        case .conflict: return (.refused, false, 412, "conflict")
        case .unreachable: return (.refused, true, 503, "unreachable")
        case .ambiguousFunnel: return (.refused, false, 409, "ambiguous_funnel")
        case .sequenceReused: return (.refused, false, 409, "sequence_reused")
        }
    }
}

extension ProtocolError {
    package var body: [UInt8] {
        var out = ByteWriter()
        out.integer(code.rawValue)
        out.integer(outcome.rawValue)
        out.integer(UInt8(retryable ? 1 : 0))
        out.integer(retryAfterMilliseconds)
        out.string(Self.cut(message))
        var faultBytes = 0
        let told = faults.prefix(Self.faultsMax).prefix { fault in
            faultBytes += Self.cut(fault.field).count + Self.cut(fault.reason).count + 4
            return faultBytes <= Self.faultBytesMax
        }
        out.varint(UInt64(told.count))
        for fault in told {
            out.string(Self.cut(fault.field))
            out.string(Self.cut(fault.reason))
        }
        out.varint(UInt64(min(shards.count, Limits.shards)))
        for shard in shards.prefix(Limits.shards) { out.string(Self.cut(shard, to: Self.shardNameMax)) }
        return out.bytes
    }

    // With a message of `textMax` these two keep every error within the 64 KiB of its frame.
    private static let faultBytesMax = 40 << 10
    private static let shardNameMax = 72

    /// The text, cut to at most `limit` bytes between two characters.
    package static func cut(_ text: String, to limit: Int = textMax) -> ByteString {
        var bytes = Array(text.utf8.prefix(limit))
        if bytes.count < text.utf8.count {
            while !isValidUTF8(bytes) { bytes.removeLast() }
        }
        return ByteString(bytes)
    }

    package static func decode(_ body: [UInt8]) throws(ProtocolError) -> ProtocolError {
        try decoding("error") { () throws(ByteError) in
            var reader = ByteReader(body)
            let raw: UInt16 = try reader.integer("code")
            _ = try reader.take(2, "outcome and retryable")
            let after: UInt32 = try reader.integer("retry after")
            let message = try reader.string(limit: textMax, "message").string
            // A code of a newer version becomes `.unknownError`, with the text that came.
            var error = ProtocolError(Code(rawValue: raw) ?? .unknownError, message)
            error.retryAfterMilliseconds = after
            for _ in 0..<(try reader.count(limit: faultsMax, "faults")) {
                let field = try reader.string(limit: textMax, "field").string
                error.faults.append(FieldFault(field, try reader.string(limit: textMax, "reason").string))
            }
            for _ in 0..<(try reader.count(limit: Limits.shards, "shards")) {
                error.shards.append(try reader.string(limit: textMax, "shard").string)
            }
            try reader.finish("error")
            return error
        }
    }
}

extension ProtocolError {
    /// The error that a caller gets, over HTTP and over the wire. An error that is not meant for callers becomes
    /// `.unknownError`, without its text.
    package init(of error: any Error) {
        switch error {
        case let error as ProtocolError: self = error
        case let error as InvalidDocument:
            self.init(.invalidQuery, "the document has \(error.faults.count) fault(s)", faults: error.faults)
        case let error as JSONError: self.init(.invalidMessage, error.description)
        case is CancellationError: self.init(.cancelled, "cancelled")
        default: self.init(.unknownError, "internal error; the service's log has it")
        }
    }
}
