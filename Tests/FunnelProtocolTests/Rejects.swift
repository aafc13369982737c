import Codec
import FunnelModel
import FunnelProtocol

/// Bytes that must be refused, and the name of the error.
struct Reject: Sendable {
    enum Role: String, Sendable {
        /// A request: one frame, then its message.
        case request
        /// An answer, read to its end.
        case answer
    }

    var name: String
    var role: Role
    var bytes: [UInt8]
    var error: ProtocolError.Code

    /// What reading the bytes comes to; nil where they are accepted.
    static func read(_ bytes: [UInt8], as role: Role) -> ProtocolError? {
        do throws(ProtocolError) {
            switch role {
            case .request:
                let frame = try FrameDecoder.single(bytes)
                _ = try Message.decode(frame.kind, frame.body)
            case .answer:
                var reader = AnswerReader()
                reader.feed(bytes)
                while let frame = try reader.next() { _ = try Message.decode(frame.kind, frame.body) }
                try reader.finish()
            }
            return nil
        } catch {
            return error
        }
    }
}

extension Samples {
    private static let frame = plainFrame(.append, asked, Message.append(appendExample).body)
    private static let appendExample = Append(
        producer: 7, sequence: 1, part: 0, batch: EventBatchBuilder([example]).finish())
    private static let prefix = littleEndian(UInt64(7)) + littleEndian(UInt64(1)) + littleEndian(UInt32(0)) + [0]

    private static func request(_ name: String, _ bytes: [UInt8], _ error: ProtocolError.Code) -> Reject {
        Reject(name: name, role: .request, bytes: bytes, error: error)
    }

    private static func message(_ name: String, _ kind: FrameKind, _ body: [UInt8]) -> Reject {
        request(name, plainFrame(kind, asked, body), .invalidMessage)
    }

    private static func batch(_ name: String, _ batch: RawBatch, tail: [UInt8] = []) -> Reject {
        message("batch: " + name, .append, prefix + batch.bytes + tail)
    }

    static let rejects: [Reject] = headerRejects + compressionRejects + batchRejects + messageRejects + answerRejects

    private static let headerRejects: [Reject] = [
        request("nothing", [], .malformedFrame),
        request("cut in the header", Array(frame.prefix(63)), .malformedFrame),
        request("cut in the body", Array(frame.dropLast()), .malformedFrame),
        request("a byte after the frame", frame + [0], .malformedFrame),
        request("two frames", frame + frame, .malformedFrame),
        request("other magic", tampered(frame, 0, [0x53, 0x4C, 0x43, 0x32]), .malformedFrame),
        request("header checksum", tampered(frame, 60, [0, 0, 0, 0], reseal: false), .badChecksum),
        request("a header bit changed", tampered(frame, 16, [43], reseal: false), .badChecksum),
        request("version 0", tampered(frame, 4, [0, 0]), .unsupportedVersion),
        request("version 2", tampered(frame, 4, [2, 0]), .unsupportedVersion),
        request("reserved byte set", tampered(frame, 44, [1]), .malformedFrame),
        request("last reserved byte set", tampered(frame, 59, [0x80]), .malformedFrame),
        request("kind 0", tampered(frame, 6, [0]), .unknownKind),
        request("kind 200", tampered(frame, 6, [200]), .unknownKind),
        request("unknown flag", tampered(frame, 7, [2]), .malformedFrame),
        request(
            "encoded length over the kind's limit", tampered(frame, 32, littleEndian(UInt32(16 << 20) + 1)), .tooLarge),
        request(
            "decoded length over the kind's limit", tampered(tampered(frame, 7, [1]), 36, littleEndian(UInt32.max)),
            .tooLarge),
        request(
            "lengths over a smaller kind's limit",
            tampered(tampered(frame, 6, [12]), 32, littleEndian(UInt64(0x1001_0000_1001))),
            .tooLarge),
        request("lengths differ, not compressed", tampered(frame, 36, littleEndian(UInt32(1))), .malformedFrame),
        request("body checksum", tampered(frame, 40, [0, 0, 0, 0]), .badChecksum),
        request("a body bit changed", tampered(frame, 64, [8], reseal: false), .badChecksum),
        request("version before kind", tampered(tampered(frame, 4, [9, 0]), 6, [99]), .unsupportedVersion),
        request("header checksum before version", tampered(frame, 4, [9, 0], reseal: false), .badChecksum),
    ]

    private static func packed(_ block: [UInt8], announced: Int) -> [UInt8] {
        plainFrame(.append, asked, block, decodedLength: announced)
    }

    private static let compressionRejects: [Reject] = {
        let zeros = LZ4Block.compress([UInt8](repeating: 0, count: 4_096)) ?? []
        return [
            request(
                "LZ4: announced size too large for the block", packed([0x10, 0x61], announced: 1 << 20),
                .damagedCompression),
            request("LZ4: announced size over the limit", packed(zeros, announced: (16 << 20) + 1), .tooLarge),
            request("LZ4: decodes to more than announced", packed(zeros, announced: 4_095), .damagedCompression),
            request("LZ4: decodes to less than announced", packed(zeros, announced: 4_097), .damagedCompression),
            request("LZ4: cut short", packed(Array(zeros.dropLast(3)), announced: 4_096), .damagedCompression),
            request(
                "LZ4: offset before the start", packed([0x10, 0x61, 0xFF, 0x00, 0x10, 0x62], announced: 6),
                .damagedCompression),
            request("LZ4: empty block", packed([], announced: 1), .damagedCompression),
        ]
    }()

    private static let batchRejects: [Reject] = {
        let good = RawBatch.example
        var version = good
        version.version = 2
        var rows = good
        rows.rows = 200_001
        var twice = good
        twice.rows = 2
        var wrongOrder = good
        wrongOrder.sections.swapAt(0, 1)
        var missing = good
        missing.sections.removeLast()
        let time: [UInt8] = [0xE0, 0xEC, 0xB6, 0xDA, 0x88, 0x83, 0x8A, 0x06]
        let ownSum: [UInt8] = {
            var bytes = good.bytes
            bytes[12] ^= 1
            return bytes
        }()
        let wrongKind: [UInt8] = {
            var bytes = good.bytes
            bytes[2] = 2
            return bytes
        }()
        let encoding: [UInt8] = {
            var bytes = good.bytes
            bytes[3] = 2
            return bytes
        }()
        return [
            batch("version 2", version), batch("more rows than allowed", rows), batch("more rows than given", twice),
            batch("a section missing", missing), batch("bytes after it", good, tail: [0]),
            message("batch: section checksum", .append, prefix + ownSum),
            message("batch: sections out of order", .append, prefix + wrongKind),
            message("batch: unknown encoding of a section", .append, prefix + encoding),
            batch("bytes after a table", good.replacing(1, [1, 3] + ascii("annx"))),
            batch("a table that is cut", good.replacing(1, [1, 4] + ascii("ann"))),
            batch("a count that lies", good.replacing(5, [0x80, 0x02] + [0, 0])),
            batch("more users than rows", good.replacing(1, [2, 1, 1] + ascii("ab"))),
            batch("user id too long", good.replacing(1, [1, 0x81, 0x04] + [UInt8](repeating: 120, count: 513))),
            batch("event name too long", good.replacing(2, [1, 0x81, 0x02] + [UInt8](repeating: 120, count: 257))),
            batch("user code out of range", good.replacing(3, [1, 0] + time + [0])),
            batch("name code out of range", good.replacing(3, [0, 1] + time + [0])),
            batch("time before 1970", good.replacing(3, [0, 0, 1, 0])),
            batch(
                "time of 2^60",
                good.replacing(3, [0, 0] + [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20] + [0])),
            batch("time that is no varint", good.replacing(3, [0, 0] + [UInt8](repeating: 0xFF, count: 11) + [0])),
            batch("unknown row flag", good.replacing(3, [0, 0] + time + [2])),
            batch("row flag missing", good.replacing(3, [0, 0] + time)),
            batch("fewer ids than rows", good.replacing(4, [0])),
            batch("more properties than allowed", good.replacing(6, [0x81, 0x02] + [UInt8](repeating: 0, count: 900))),
            batch("property count lies", good.replacing(6, [3, 0, 2, 6, 1, 1, 0])),
            batch("property tag 0", good.replacing(6, [1, 0, 0, 0])),
            batch("property tag 5", good.replacing(6, [1, 0, 5, 0])),
            batch("key code out of range", good.replacing(6, [1, 2, 2, 6])),
            batch("string code out of range", good.replacing(6, [1, 1, 1, 1])),
            batch("boolean of 2", good.replacing(6, [1, 0, 4, 2])),
            batch("NaN", good.replacing(6, [1, 0, 3] + littleEndian(Double.nan.bitPattern))),
            batch("infinity", good.replacing(6, [1, 0, 3] + littleEndian(Double.infinity.bitPattern))),
            batch("bytes after the properties", good.replacing(6, [2, 0, 2, 6, 1, 1, 0, 0])),
        ]
    }()

    private static let messageRejects: [Reject] = {
        let hello = Hello(role: .client, phase: 1, nonce: nonce).body
        let result = PartialResult(steps: 2, times: true, buckets: [0..<1_024]).body
        // A partial query without its report: as_of 0, all entries, no buckets, three steps.
        let query = Array(
            PartialQuery(
                definition: FunnelDefinition(steps: [.init("a"), .init("b"), .init("c")]), buckets: [], asOf: 0, entryRange: nil,
                times: false
            ).body.dropLast())
        let cohort = [19] + ascii(#"{"steps":["a","b"]}"#)
        return [
            message(
                "append: idempotency key too long", .append,
                Array(prefix.dropLast()) + [0x81, 1] + [UInt8](repeating: 120, count: 129)),
            message("append: no batch", .append, prefix),
            message("hello: unknown role", .hello, [5] + hello.dropFirst()),
            message("hello: phase 3", .hello, [1, 3] + hello.dropFirst(2)),
            message("hello: cut short", .hello, Array(hello.dropLast())),
            message("hello: bytes after it", .hello, hello + [0]),
            message("query: not JSON", .query, ascii("{\"funnel\": ")),
            message("health: with a body", .health, [0]),
            message("partial query: as_of out of range", .partialQuery, [0, 1, 0, 0, 0, 0]),
            message("partial query: end before start", .partialQuery, [0, 0, 4, 2, 0, 0]),
            message("partial query: bucket ranges overlap", .partialQuery, [0, 0, 0, 2, 2, 0, 5, 4, 9, 0]),
            message("partial query: empty bucket range", .partialQuery, [0, 0, 0, 2, 1, 5, 5, 0]),
            message("partial query: definition with a fault", .partialQuery, [0, 0, 0, 2, 0, 2] + ascii("{}")),
            message("partial query: unknown flag", .partialQuery, [16] + query.dropFirst() + [0]),
            message("partial query: cohorts announced, none given", .partialQuery, [2] + query.dropFirst() + [0, 0]),
            message("partial query: eleven cohorts", .partialQuery, [2] + query.dropFirst() + [11]),
            message("partial query: step 0 of a cohort", .partialQuery, [2] + query.dropFirst() + [1] + cohort + [0, 0, 0]),
            message("partial query: step 3 of a cohort of two", .partialQuery, [2] + query.dropFirst() + [1] + cohort + [3, 0, 0]),
            message("partial query: unknown outcome of a cohort", .partialQuery, [2] + query.dropFirst() + [1] + cohort + [1, 4, 0]),
            message("partial query: second funnel with a fault", .partialQuery, query + [7, 2] + ascii("{}")),
            message("partial query: unknown report", .partialQuery, query + [10]),
            message("partial query: breakdown without a property", .partialQuery, query + [1, 0, 0, 0]),
            message("partial query: breakdown by a step that there is not", .partialQuery, query + [1, 1, 112, 5, 0]),
            message("partial query: unknown choice of groups", .partialQuery, query + [1, 1, 112, 0, 3]),
            message("partial query: too many groups by name", .partialQuery, query + [1, 1, 112, 0, 1, 0x81, 0x80, 4]),
            message("partial query: a group named twice", .partialQuery, query + [1, 1, 112, 0, 1, 2, 4, 1, 4, 1]),
            message("partial query: one trend bound", .partialQuery, query + [2, 1, 0]),
            message("partial query: trend bounds that stand still", .partialQuery, query + [2, 2, 0, 0]),
            message("partial query: too many trend bounds", .partialQuery, query + [2, 0xEA, 7]),
            message("partial query: bytes after a request for the span", .partialQuery, query + [3, 0]),
            message("partial query: times to the step they begin at", .partialQuery, query + [4, 2, 2]),
            message("partial query: times from step 0", .partialQuery, query + [4, 0, 2]),
            message("partial query: times to a step that there is not", .partialQuery, query + [4, 1, 4]),
            message("partial query: an explanation of nobody", .partialQuery, query + [8, 0]),
            message("partial query: variants without a property", .partialQuery, query + [9, 0, 0]),
            message("partial query: unknown exposure", .partialQuery, query + [9, 1, 112, 2]),
            message("partial query: variants by a step that there is not", .partialQuery, query + [9, 1, 112, 1, 5]),
            message("partial users query: half a group", .partialUsersQuery, query + [0, 1, 0, 10, 0, 1, 112, 0]),
            message(
                "partial users query: a group whose value is neither there nor not", .partialUsersQuery,
                query + [0, 1, 0, 10, 0, 1, 112, 0, 2]),
            message("partial query: paths of those who dropped at step 1", .partialQuery, query + [5, 0, 1, 3, 0]),
            message("partial query: paths back to an earlier step", .partialQuery, query + [5, 1, 2, 2, 3, 0]),
            message("partial query: paths to a step that there is not", .partialQuery, query + [5, 1, 2, 4, 3, 0]),
            message("partial query: paths of length 6", .partialQuery, query + [5, 0, 2, 6, 0]),
            message("partial query: paths of length 0", .partialQuery, query + [5, 0, 2, 0, 0]),
            message("partial query: unknown choice of events", .partialQuery, query + [5, 0, 2, 3, 3, 0]),
            message("partial query: too many events of paths", .partialQuery, query + [5, 0, 2, 3, 1, 0x81, 2]),
            message("partial query: predictors of step 1", .partialQuery, query + [6, 0, 1, 1]),
            message("partial query: predictors of a step that all have done", .partialQuery, query + [6, 2, 2, 1]),
            message("partial query: predictors with unknown properties", .partialQuery, query + [6, 1, 2, 2]),
            message("partial users query: with a report", .partialUsersQuery, query + [3, 1, 0, 10, 0]),
            message("partial users query: unknown outcome", .partialUsersQuery, query + [0, 1, 4, 10, 0]),
            message("partial result: unknown flag", .partialResult, [1, 16, 0, 0, 0, 0]),
            message("partial result: other open users by their chosen attempts", .partialResult, [2, 4, 0, 3, 1, 1, 0, 1, 1, 0]),
            message("partial result: unknown report", .partialResult, [1, 0, 0, 0, 0, 10]),
            message("partial result: more users of several variants than entered", .partialResult, [1, 0, 0, 2, 0, 9, 3, 2, 0, 0]),
            message("partial result: groups that don't add up", .partialResult, [1, 0, 0, 2, 0, 1, 0, 1, 4, 1, 1, 0]),
            message("partial result: more users without a value than in all", .partialResult, [1, 0, 0, 2, 0, 1, 3, 0, 1, 1]),
            message("partial result: more values left out than users", .partialResult, [1, 0, 0, 3, 0, 1, 0, 1, 4, 1, 1, 3, 1]),
            message("partial result: nobody left out", .partialResult, [1, 0, 0, 3, 0, 1, 0, 1, 4, 1, 3, 1, 0]),
            message(
                "partial result: a value left out with more users than are left", .partialResult, [1, 0, 0, 4, 0, 1, 0, 1, 4, 1, 1, 2, 3]),
            message("partial result: values left out with too few users", .partialResult, [1, 0, 0, 6, 0, 1, 0, 1, 4, 1, 1, 2, 2]),
            message(
                "partial result: more users left out at the second step", .partialResult,
                [2, 0, 0, 3, 3, 0, 0, 1, 0, 0, 1, 4, 1, 2, 1, 1, 1]),
            message("partial result: too many values left out", .partialResult, [1, 0, 0, 1, 0, 1, 0, 0, 0xC1, 0x84, 0x3D, 1]),
            message("partial result: groups that exceed the whole", .partialResult, [1, 0, 0, 2, 0, 1, 0, 1, 4, 1, 3]),
            message("partial result: a value twice", .partialResult, [1, 0, 0, 2, 0, 1, 0, 2, 4, 1, 1, 4, 1, 1, 0]),
            message("partial result: value tag 5", .partialResult, [1, 0, 0, 1, 0, 1, 0, 1, 5, 1, 1]),
            message("partial result: boolean value of 2", .partialResult, [1, 0, 0, 1, 0, 1, 0, 1, 4, 2, 1]),
            message(
                "partial result: a double that is a whole number", .partialResult,
                [1, 0, 0, 1, 0, 1, 0, 1, 3] + littleEndian(Double(3).bitPattern) + [1]),
            message(
                "partial result: a value that is not a number", .partialResult,
                [1, 0, 0, 1, 0, 1, 0, 1, 3] + littleEndian(Double.nan.bitPattern) + [1]),
            message("partial result: a count of a group above its first", .partialResult, [2, 0, 0, 3, 3, 0, 0, 1, 0, 0, 1, 4, 1, 2, 3]),
            message("partial result: a count of a bucket above its first", .partialResult, [2, 0, 0, 3, 3, 0, 0, 2, 1, 2, 3]),
            message("partial result: too many buckets of a trend", .partialResult, [1, 0, 0, 0, 0, 2, 0xE9, 7]),
            message("partial result: too many values", .partialResult, [1, 0, 0, 0, 0, 1, 0, 0xC1, 0x84, 0x3D]),
            message("partial result: an entry span that ends before it begins", .partialResult, [1, 0, 0, 0, 0, 3, 1, 4, 2]),
            message(
                "partial result: more times than users", .partialResult,
                [2, 0, 0, 1, 1, 0, 0, 4, 0, 2] + [UInt8](repeating: 0, count: 17) + [2, 0, 0, 0, 0]),
            message(
                "partial result: a least time that is none", .partialResult,
                [2, 0, 0, 1, 1, 0, 0, 4, 0, 1, 5] + [UInt8](repeating: 0, count: 16) + [1, 5, 4, 1]),
            message("partial result: an explanation deeper than the funnel", .partialResult, [2, 0, 0, 1, 1, 0, 0, 8, 1, 3]),
            message(
                "partial result: an unknown reason", .partialResult, [2, 0, 0, 1, 1, 0, 0, 8, 1, 0, 0, 1, 0, 13, 0, 0, 0, 0, 0, 0, 0, 0]),
            message("discovery query: unknown kind", .discoveryQuery, [3, 0]),
            message("discovery query: no property", .discoveryQuery, [2, 0, 0, 0]),
            message("discovery query: bytes after it", .discoveryQuery, [0, 0, 0]),
            message("discovery result: unknown kind", .discoveryResult, [3, 0]),
            message("discovery result: an event twice", .discoveryResult, [0, 2, 1, 97, 1, 2, 2, 1, 97, 1, 2, 2]),
            message("discovery result: an event that ends before it begins", .discoveryResult, [0, 1, 1, 97, 1, 4, 2]),
            message("discovery result: a property twice", .discoveryResult, [1, 2, 1, 97, 1, 0, 0, 1, 97, 1, 0, 0]),
            message("discovery result: a value twice", .discoveryResult, [2, 0, 2, 4, 1, 1, 4, 1, 1]),
            message("discovery result: cut short", .discoveryResult, [2, 0, 1, 4, 1]),
            message("discovery result: names without the bytes cut off", .discoveryResult, [4, 1, 0, 1, 0, 0]),
            message("partial result: users of two funnels that don't add up", .partialResult, [1, 0, 0, 2, 0, 7, 1, 0, 0, 0, 0, 0, 0, 0]),
            message("partial result: more conversions than users", .partialResult, [1, 0, 0, 2, 0, 7, 0, 0, 0, 2, 0, 0, 0, 1]),
            message("partial result: a path twice", .partialResult, [1, 0, 0, 0, 0, 5, 1, 1, 97, 2, 1, 0, 1, 1, 0, 1]),
            message("partial result: an event of a path without a name", .partialResult, [1, 0, 0, 0, 0, 5, 0, 1, 1, 0, 1]),
            message("partial result: a path that nobody took", .partialResult, [1, 0, 0, 0, 0, 5, 0, 1, 0, 0]),
            message("partial result: a path of 6 events", .partialResult, [1, 0, 0, 0, 0, 5, 1, 1, 97, 1, 6, 0, 0, 0, 0, 0, 0, 1]),
            message("partial result: too many paths", .partialResult, [1, 0, 0, 0, 0, 5, 0, 0x81, 0x80, 4]),
            message("partial result: more converted than counted", .partialResult, [1, 0, 0, 0, 0, 6, 1, 2, 0, 0, 0]),
            message(
                "partial result: an event of more users than there are", .partialResult, [1, 0, 0, 0, 0, 6, 2, 1, 1, 1, 97, 3, 1, 0, 0]),
            message(
                "partial result: an event of more users who did not convert", .partialResult,
                [1, 0, 0, 0, 0, 6, 2, 1, 1, 1, 97, 2, 0, 0, 0]),
            message("partial result: an event twice", .partialResult, [1, 0, 0, 0, 0, 6, 2, 1, 2, 1, 97, 1, 1, 1, 97, 1, 1, 0, 0]),
            message(
                "partial result: a value of a property twice", .partialResult,
                [1, 0, 0, 0, 0, 6, 2, 1, 0, 1, 1, 112, 2, 4, 1, 1, 1, 4, 1, 1, 1, 0]),
            message(
                "partial result: a property counted and left out", .partialResult, [1, 0, 0, 0, 0, 6, 2, 1, 0, 1, 1, 112, 0, 1, 1, 112]),
            message("partial result: too many values of a property", .partialResult, [1, 0, 0, 0, 0, 6, 2, 1, 0, 1, 1, 112, 0xE9, 7]),
            message("partial result: a count above the first", .partialResult, [2, 0, 0, 1, 2, 0, 0, 0]),
            message("partial result: too many steps", .partialResult, [65, 0]),
            message(
                "partial result: times announced, none given", .partialResult,
                [2, 1, 0, 1, 1, 0, 0, 1] + [UInt8](repeating: 0, count: 18) + [0]),
            message(
                "partial result: unknown form of times", .partialResult,
                [2, 1, 0, 0, 0, 0, 0, 0] + [UInt8](repeating: 0, count: 16) + [2, 0, 0]),
            message(
                "partial result: count of times lies", .partialResult,
                [2, 1, 0, 0, 0, 0, 0, 0] + [UInt8](repeating: 0, count: 17) + [0xFF, 0xFF, 3, 0]),
            message("partial result: bytes after it", .partialResult, result + [0]),
            message("user list: too many users", .userList, [0x81, 0x20]),
            message("user list: cut short", .userList, [1, 3] + ascii("an")),
            message("snapshot request: cut short", .snapshotRequest, [UInt8](repeating: 0, count: 11)),
            message("snapshot request: half a lineage", .snapshotRequest, [UInt8](repeating: 0, count: 16)),
            message("identity request: with a body", .identityRequest, [0]),
            message("identity: a shard without a number", .identity, [4, 0, 1] + [UInt8](repeating: 0, count: 28) + [1, 0, 0, 0]),
            message("identity: a number of no shard", .identity, [3, 1, 1] + [UInt8](repeating: 0, count: 28) + [1, 0, 0, 0]),
            message("identity: ready, and why not", .identity, [4, 1, 1] + [UInt8](repeating: 0, count: 28) + [1, 1, 97, 0, 0]),
            message("identity: cut short", .identity, [4, 1, 1] + [UInt8](repeating: 0, count: 28) + [1, 0, 0]),
            message("snapshot: shard out of place", .snapshot, [UInt8](repeating: 0, count: 20) + [1, 1, 0, 0, 0, 0]),
            message(
                "snapshot: unknown role of a key", .snapshot,
                [UInt8](repeating: 0, count: 20) + [0, 1, 4] + [UInt8](repeating: 0, count: 36)),
        ] + (keyListRejects + ruleListRejects + exportRejects).map { message($0.name, $0.kind, $0.body) }
    }()

    private static let answerRejects: [Reject] = {
        var writer = AnswerWriter(FrameContext(cluster: 1, request: 42, epoch: 1))
        let context = FrameContext(cluster: 1, request: 42, epoch: 1)
        let result = writer.frame(.appendResult, AppendOutcome(accepted: 1).body)
        let end = writer.end(rows: 1)
        let sum = CRC32C.checksum(AppendOutcome(accepted: 1).body)
        func trailer(_ status: UInt16, _ checksum: UInt32) -> [UInt8] {
            plainFrame(.trailer, context, Trailer(status: status, rows: 1, checksum: checksum).body)
        }
        let error = plainFrame(.error, context, ProtocolError(.overloaded, "later").body)
        let errorSum = CRC32C.checksum(ProtocolError(.overloaded, "later").body)
        func answer(_ name: String, _ bytes: [UInt8], _ code: ProtocolError.Code) -> Reject {
            Reject(name: "answer: " + name, role: .answer, bytes: bytes, error: code)
        }
        return [
            answer("nothing", [], .truncatedAnswer), answer("without its trailer", result, .truncatedAnswer),
            answer("cut in its trailer", Array((result + end).dropLast()), .truncatedAnswer),
            answer("an error without its trailer", error, .truncatedAnswer),
            answer("trailer checksum", result + trailer(0, sum ^ 1), .badChecksum),
            answer("a frame is missing", end, .badChecksum),
            answer("a frame is doubled", result + result + end, .badChecksum),
            answer("trailer status without an error", result + trailer(16, sum), .malformedFrame),
            answer("an error without trailer status", error + trailer(0, errorSum), .malformedFrame),
            answer("an error with another's status", error + trailer(17, errorSum), .malformedFrame),
            answer("a frame after the trailer", result + end + result, .malformedFrame),
            answer("bytes after the trailer", result + end + [0x53], .malformedFrame),
            answer(
                "trailer cut short", result + plainFrame(.trailer, context, [UInt8](repeating: 0, count: 13)),
                .invalidMessage),
            answer(
                "trailer too long", result + plainFrame(.trailer, context, [UInt8](repeating: 0, count: 15)),
                .invalidMessage),
            answer("the error that it tells", error + trailer(16, errorSum), .overloaded),
        ]
    }()
}
