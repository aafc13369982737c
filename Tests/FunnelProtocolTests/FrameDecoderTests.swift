import Codec
import FunnelModel
import FunnelProtocol
import TestSupport
import Testing

struct FrameDecoderTests {
    private static let samples = Samples.files.flatMap(\.samples)

    private static func frames(_ bytes: [UInt8], chunk: (Int) -> Int) throws -> [Frame] {
        var decoder = FrameDecoder()
        var frames: [Frame] = []
        var at = 0
        while at < bytes.count {
            let size = min(max(1, chunk(at)), bytes.count - at)
            decoder.feed(bytes[at..<(at + size)])
            at += size
            while let frame = try decoder.next() { frames.append(frame) }
        }
        try decoder.finish()
        return frames
    }

    @Test func chunksOfAnySizeGiveTheSameFrames() throws {
        let stream = Self.samples.flatMap(\.frame)
        let want = Self.samples.map { Frame($0.kind, $0.context, body: $0.message.body) }
        var random = SplitMix64(seed: 1)
        #expect(try Self.frames(stream) { _ in stream.count } == want)
        #expect(try Self.frames(stream) { _ in 1 } == want)
        for _ in 0..<20 { #expect(try Self.frames(stream) { _ in 1 + random.below(3_000) } == want) }
    }

    @Test func manySmallFramesPassThroughOneDecoder() throws {
        let frame = plainFrame(.health, Samples.asked, [])
        var decoder = FrameDecoder()
        var seen = 0
        for _ in 0..<50 {
            decoder.feed((0..<50).flatMap { _ in frame })
            while try decoder.next() != nil { seen += 1 }
        }
        try decoder.finish()
        #expect(seen == 2_500)
    }

    @Test func badHeaderIsRefusedBeforeItsBodyArrives() throws {
        var decoder = FrameDecoder()
        let frame = tampered(plainFrame(.health, Samples.asked, []), 32, littleEndian(UInt64(0xFFFF_FFFF_FFFF_FFFF)))
        decoder.feed(frame[..<63])
        #expect(try decoder.next() == nil)
        decoder.feed(frame[63...])
        #expect(throws: ProtocolError.self) { try decoder.next() }
    }

    @Test func kindsAndErrorsAreDistinct() {
        #expect(Set(ProtocolError.Code.allCases.map(\.traits.name)).count == ProtocolError.Code.allCases.count)
        #expect(FrameKind.allCases.map(\.rawValue) == [UInt8](1...28))
        #expect(ProtocolError.Code.allCases.map(\.rawValue) == [UInt16](1...30))
        #expect(ProtocolError.Code.allCases.allSatisfy { (400...599).contains($0.traits.httpStatus) })
    }

    @Test func tableOfThePageIsTheTableOfTheSource() throws {
        let page = String(decoding: try Repository.bytes("Protocol/PROTOCOL.md"), as: UTF8.self)
        for code in ProtocolError.Code.allCases {
            let t = code.traits
            let row =
                "| \(code.rawValue) | `\(t.name)` | \(t.outcome) | \(t.retryable ? "yes" : "no") | \(t.httpStatus) |"
            #expect(page.contains(row) == true, "\(row)")
        }
        for kind in FrameKind.allCases {
            let max = kind.bodyMax
            let size: String
            switch max {
            case 4_096: size = "4,096"
            case 64: size = "64"
            default: size = max >= 1 << 20 ? "\(max >> 20) MiB" : "\(max >> 10) KiB"
            }
            let name = "\(kind)".reduce(into: "") { $0 += $1.isUppercase ? " " + $1.lowercased() : String($1) }
            #expect(page.contains("| \(kind.rawValue) | \(name) | \(size) |"), "\(kind)")
        }
    }
}

struct LargeMessageTests {
    @Test func errorsFitTheirFrameHoweverMuchTheyTell() throws {
        let text = String(repeating: "\u{E9}", count: 5_000)
        let error = ProtocolError(
            .invalidQuery, text, faults: (0..<2_000).map { FieldFault("steps[\($0)]", text) },
            shards: (0..<300).map { "\($0)" + text })
        #expect(error.body.count <= FrameKind.error.bodyMax)
        let told = try ProtocolError.decode(error.body)
        #expect(told.faults.count > 3 && told.shards.count == Limits.shards)
        #expect(told.message.utf8.count == ProtocolError.textMax && text.hasPrefix(told.message))
        var writer = AnswerWriter(FrameContext())
        #expect(Reject.read(writer.fail(error), as: .answer)?.code == .invalidQuery)
    }

    @Test func everyRowOfTheLargestBatchCanBeRejected() throws {
        let reason = String(repeating: "x", count: 200)
        let outcome = AppendOutcome(
            accepted: 0, rejected: (0..<Limits.rowsPerBatch).map { .init(row: $0, reason: reason) })
        let body = outcome.body
        #expect(body.count <= FrameKind.appendResult.bodyMax)
        #expect(try AppendOutcome(body: body).rejected.count == Limits.rowsPerBatch)
    }

    @Test func errorOfANewerVersionKeepsItsText() throws {
        var body = ProtocolError(.overloaded, "later").body
        body[0] = 0xFF
        let error = try ProtocolError.decode(body)
        #expect(error.code == .unknownError && error.message == "later" && error.retryAfterMilliseconds == 1_000)
    }
}
