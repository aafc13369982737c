import FunnelModel
import FunnelProtocol
import TestSupport
import Testing

/// Wire calls as released versions made and answered them (`Tests/Released`): every one is read, and what it says is written
/// again as the same bytes, so that a peer of that release reads what is written today.
struct ReleasedTests {
    @Test(arguments: ["0.1.0"])
    func everyRecordedCallIsReadAndWrittenAgain(release: String) throws {
        let entries = try #require(try Repository.json("Tests/Released/\(release)/wire.json").asArray)
        var kinds: Set<UInt8> = []
        for entry in entries {
            let name = try entry.text("name").string
            let bytes = try entry.hexBytes("answer")
            let answer = try Self.frames(bytes)
            let failure = try Self.failure(bytes)
            let request = try FrameDecoder.single(try entry.hexBytes("request"))
            if failure?.code == .invalidMessage {
                #expect(throws: ProtocolError.self, "\(name)") { try Message.decode(request.kind, request.body) }
            }
            for frame in (failure?.code == .invalidMessage ? [] : [request]) + answer {
                kinds.insert(frame.kind.rawValue)
                #expect(try Message.decode(frame.kind, frame.body).body == frame.body, "\(name): \(frame.kind)")
            }
            #expect(answer.last?.kind == .trailer, "\(name)")
        }
        #expect(kinds.count == 19, "a recording has every kind of frame: \(kinds.sorted())")
    }

    private static func frames(_ bytes: [UInt8]) throws -> [Frame] {
        var decoder = FrameDecoder()
        decoder.feed(bytes)
        var frames: [Frame] = []
        while let frame = try decoder.next() { frames.append(frame) }
        try decoder.finish()
        return frames
    }

    /// The error that an answer tells; nil where it is a good one.
    private static func failure(_ bytes: [UInt8]) throws -> ProtocolError? {
        var reader = AnswerReader()
        reader.feed(bytes)
        do throws(ProtocolError) {
            while try reader.next() != nil {}
            try reader.finish()
            return nil
        } catch {
            // One that stands in the answer, not one found by reading it.
            try #require(reader.trailer?.status == error.code.rawValue, "\(error)")
            return error
        }
    }
}
