import Codec
import Foundation
import FunnelModel
import FunnelProtocol
import TestSupport
import Testing

/// `Protocol/vectors` in both directions. Bytes change only with `SLUICE_UPDATE_VECTORS=1`, and the diff is reviewed: a
/// difference without a new protocol version breaks every client.
@Suite(.serialized)
struct VectorTests {
    static let updating = ProcessInfo.processInfo.environment["SLUICE_UPDATE_VECTORS"] == "1"

    static func path(_ file: String) -> String { "Protocol/vectors/\(file).json" }

    static func write(_ rows: [JSONValue], to file: String) throws {
        let lines = rows.map { "  " + String(decoding: $0.encode(), as: UTF8.self) }
        let text = "[\n" + lines.joined(separator: ",\n") + "\n]\n"
        try Data(text.utf8).write(to: Repository.root.appendingPathComponent(path(file)))
    }

    static func rows(_ file: String) throws -> [JSONValue] { try #require(try Repository.json(path(file)).asArray) }

    @Test(arguments: Samples.files.indices)
    func everyMessageReadsAndWritesAsItsVector(index: Int) throws {
        let (file, samples) = Samples.files[index]
        if Self.updating { try Self.write(samples.map(\.json), to: file) }
        let rows = try Self.rows(file)
        #expect(
            rows.map { $0["name"] } == samples.map { .text($0.name) }, "\(file): other entries than in Samples.swift")
        for (row, sample) in zip(rows, samples) {
            let why: Comment = "\(file): \(sample.name)"
            let raw = try row.hexBytes("hex")
            let frame = try FrameDecoder.single(raw)
            let message = try Message(sample.kind, meaning: try #require(row["meaning"]))
            #expect(frame.kind == sample.kind && frame.context == sample.context, why)
            #expect(frame.body == message.body, why)
            #expect(message == sample.message, why)
            #expect(try Message.decode(frame.kind, frame.body) == message, why)
            #expect(row["meaning"] == sample.message.meaning, why)
            if !sample.compressed { #expect(raw == sample.frame, why) }
        }
    }

    @Test func answersReadAndWriteAsTheirVectors() throws {
        if Self.updating { try Self.write(AnswerSample.all.map(\.json), to: "trailer-and-answer") }
        let rows = try Self.rows("trailer-and-answer")
        #expect(rows.map { $0["name"] } == AnswerSample.all.map { .text($0.name) })
        for (row, sample) in zip(rows, AnswerSample.all) {
            let raw = try row.hexBytes("hex")
            #expect(raw == sample.bytes, "\(sample.name)")
            #expect(row["meaning"] == sample.meaning, "\(sample.name)")
            var reader = AnswerReader()
            reader.feed(raw)
            var results: [Message] = []
            var failure: ProtocolError?
            do throws(ProtocolError) {
                while let frame = try reader.next() {
                    results.append(try Message.decode(frame.kind, frame.body))
                }
                try reader.finish()
            } catch {
                failure = error
            }
            #expect(results == sample.results.map(\.1) && failure == sample.failure, "\(sample.name)")
            #expect(reader.trailer?.rows == sample.rows)
        }
    }

    @Test func everyRejectIsRefusedByName() throws {
        if Self.updating {
            try Self.write(
                Samples.rejects.map {
                    [
                        "name": .text($0.name), "as": .text($0.role.rawValue), "hex": .text(hex($0.bytes)),
                        "error": .text($0.error.traits.name),
                    ]
                }, to: "rejects")
        }
        let rows = try Self.rows("rejects")
        #expect(rows.count == Samples.rejects.count)
        for (row, sample) in zip(rows, Samples.rejects) {
            let role = try #require(Reject.Role(rawValue: try row.text("as").string))
            let found = Reject.read(try row.hexBytes("hex"), as: role)
            #expect(found?.code == sample.error, "\(sample.name): \(String(describing: found))")
            #expect(row["name"] == .text(sample.name) && row["error"] == .text(sample.error.traits.name))
            #expect(try row.hexBytes("hex") == sample.bytes, "\(sample.name)")
        }
    }

    /// The hex of section 14, as an outsider would type it from the page.
    @Test func workedExampleOfThePageIsTheVector() throws {
        let page = try Repository.bytes("Protocol/PROTOCOL.md")
        let text = String(decoding: page, as: UTF8.self)
        let section = try #require(text.components(separatedBy: "## 14. Worked example").last)
        let parts = section.components(separatedBy: "The answer, 147 bytes")
        #expect(Self.dump(parts[0]) == Samples.appends[0].frame)
        var writer = AnswerWriter(FrameContext(cluster: 0x1122_3344_5566_7788, request: 42, epoch: 1))
        let answer = writer.frame(.appendResult, AppendOutcome(accepted: 1).body) + writer.end(rows: 1)
        #expect(Self.dump(parts[1].components(separatedBy: "## 15.")[0]) == answer)
    }

    /// Bytes of the indented lines: pairs of hex digits up to the comment, `00 x 16` being sixteen zeros.
    private static func dump(_ text: String) -> [UInt8] {
        var out: [UInt8] = []
        for line in text.split(separator: "\n") where line.hasPrefix("    ") {
            var words = line.split(separator: " ", omittingEmptySubsequences: false).drop { $0.isEmpty }[...]
            while let word = words.first, word.utf8.count == 2, let byte = UInt8(word, radix: 16) {
                words.removeFirst()
                if words.first == "x" {
                    out += [UInt8](repeating: 0, count: 16)
                    words = words.dropFirst(2).drop { $0.isEmpty }
                } else {
                    out.append(byte)
                }
            }
        }
        return out
    }
}

extension Sample {
    fileprivate var json: JSONValue {
        [
            "name": .text(name), "kind": .text("\(kind)"), "kind_code": number(kind.rawValue),
            "cluster": number(context.cluster), "request": number(context.request), "project": number(context.project),
            "epoch": number(context.epoch), "compressed": .bool(compressed), "meaning": message.meaning,
            "hex": .text(hex(frame)),
        ]
    }
}

/// A whole answer: frames and their trailer.
struct AnswerSample: Sendable {
    var name: String
    var results: [(FrameKind, Message)]
    var failure: ProtocolError?
    var rows: UInt64

    static let context = FrameContext(cluster: 0x1122_3344_5566_7788, request: 42, epoch: 1)

    static let all: [AnswerSample] = [
        AnswerSample(
            name: "append stored", results: [(.appendResult, .appendResult(AppendOutcome(accepted: 1)))], rows: 1),
        AnswerSample(
            name: "two frames of users",
            results: [
                (.userList, .userList(UserList(users: ["ann", "bob"]))),
                (.userList, .userList(UserList(users: ["cy"]))),
            ], rows: 3),
        AnswerSample(name: "nothing but the trailer", results: [], rows: 0),
        AnswerSample(
            name: "an error", results: [],
            failure: ProtocolError(.invalidQuery, "1 fault", faults: [.init("funnel.steps", "is required")]), rows: 0),
        AnswerSample(
            name: "an error after a frame", results: [(.userList, .userList(UserList(users: ["ann"])))],
            failure: ProtocolError(.shardUnavailable, "shard-1 does not answer", shards: ["shard-1"]), rows: 0),
    ]

    var bytes: [UInt8] {
        var writer = AnswerWriter(Self.context)
        var out: [UInt8] = []
        for (kind, message) in results { out += writer.frame(kind, message.body) }
        if let failure { return out + writer.fail(failure) }
        return out + writer.end(rows: rows)
    }

    var meaning: JSONValue {
        [
            "results": .array(results.map { ["kind": .text("\($0.0)"), "meaning": $0.1.meaning] }),
            "error": failure.map { Message.error($0).meaning } ?? .null, "rows": number(rows),
        ]
    }

    var json: JSONValue { ["name": .text(name), "meaning": meaning, "hex": .text(hex(bytes))] }
}
