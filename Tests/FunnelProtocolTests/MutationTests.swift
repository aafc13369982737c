import Codec
import FunnelModel
import FunnelProtocol
import TestSupport
import Testing

/// Valid vectors with bytes changed. Half of the mutants get checksums that fit again, so that what lies behind them is
/// reached too. Nothing may trap, and nothing may decode to more than its kind allows.
struct MutationTests {
    private static let mutations = 20_000

    @Test func mutatedFramesNeverTrapNorGrow() throws {
        let frames = Samples.files.flatMap(\.samples).map(\.frame)
        var random = SplitMix64(seed: 0xF0A1)
        var accepted = 0
        for i in 0..<Self.mutations {
            var mutant = Self.mutate(frames[i % frames.count], &random)
            if random.chance(60) { mutant = refitted(mutant) }
            guard let frame = try? FrameDecoder.single(mutant) else { continue }
            #expect(frame.body.count <= frame.kind.bodyMax)
            guard let message = try? Message.decode(frame.kind, frame.body) else { continue }
            accepted += 1
            // What was understood can be said again.
            if accepted % 8 == 0 { #expect(try Message.decode(frame.kind, message.body) == message) }
        }
        #expect(accepted > Self.mutations / 50)
    }

    @Test func mutatedBatchesNeverTrap() {
        let batches = [Samples.appends[0], Samples.appends[2], Samples.appends[3]].compactMap { sample -> [UInt8]? in
            guard case .append(let append) = sample.message else { return nil }
            return EventBatchCodec.encode(append.batch, compressed: false)
        }
        var random = SplitMix64(seed: 0xBA7C)
        var accepted = 0
        for i in 0..<Self.mutations {
            var raw = RawBatch(batches[i % batches.count])
            let section = random.below(6)
            raw.sections[section] = Self.mutate(raw.sections[section], &random)
            if random.chance(10) { raw.rows = UInt64(random.below(4)) }
            guard let batch = try? EventBatchCodec.decode(raw.bytes) else { continue }
            accepted += 1
            #expect(batch.events.count == batch.count && batch.count <= Limits.rowsPerBatch)
        }
        #expect(accepted > Self.mutations / 50)
    }

    @Test func mutatedAnswersEitherAgreeOrFail() {
        let answers = AnswerSample.all.map(\.bytes)
        var random = SplitMix64(seed: 0xA2)
        for i in 0..<Self.mutations / 4 {
            let original = answers[i % answers.count]
            let mutant = Self.mutate(original, &random)
            if mutant == original { continue }
            let found = Reject.read(mutant, as: .answer)
            // A flipped bit is always found: every byte of an answer is under a checksum.
            #expect(found != nil)
        }
    }

    private static func mutate(_ bytes: [UInt8], _ random: inout SplitMix64) -> [UInt8] {
        var out = bytes
        for _ in 0...random.below(3) {
            let at = out.isEmpty ? 0 : random.below(out.count)
            switch random.below(out.isEmpty ? 1 : 6) {
            case 0: out.insert(UInt8(random.below(256)), at: at)
            case 1: out.remove(at: at)
            case 2: out[at] ^= 1 << UInt8(random.below(8))
            case 3: out[at] = random.pick([0, 1, 0x7F, 0x80, 0xFF])
            case 4: out.removeLast(random.below(min(8, out.count)))
            default: out[at] = UInt8(random.below(256))
            }
        }
        return out
    }
}

extension RawBatch {
    /// Takes a valid, uncompressed batch apart.
    init(_ bytes: [UInt8]) {
        var reader = ByteReader(bytes)
        version = (try? reader.integer("")) ?? 0
        rows = (try? reader.varint("")) ?? 0
        while reader.remaining >= 14 {
            _ = try? reader.take(6, "")
            let length: UInt32 = (try? reader.integer("")) ?? 0
            _ = try? reader.take(4, "")
            guard let range = try? reader.take(Int(length), "") else { return }
            sections.append(Array(bytes[range]))
        }
    }
}
