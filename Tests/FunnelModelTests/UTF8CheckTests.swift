import FunnelModel
import TestSupport
import Testing

struct UTF8CheckTests {
    /// Swift's own decoder replaces whatever is not well-formed.
    private static func expected(_ bytes: [UInt8]) -> Bool { Array(String(decoding: bytes, as: UTF8.self).utf8) == bytes }

    @Test func everyPairAndTripleOfNotableBytesIsJudgedAsByTheDecoder() {
        let notable: [UInt8] = [
            0, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3,
            0xF4, 0xF5, 0xFF,
        ]
        for a in notable {
            for b in notable {
                for c in notable {
                    let bytes = [a, b, c]
                    #expect(isValidUTF8(bytes) == Self.expected(bytes), "\(bytes)")
                }
            }
        }
    }

    @Test func textsWithOneBrokenByteAreFoundAnywhere() {
        var random = SplitMix64(seed: 61)
        let letters = ["a", "plain ascii ", "é", "€", "\u{D7FF}", "\u{E000}", "😀", "\u{10FFFF}", "\u{800}", "\u{10000}"]
        for _ in 0..<3_000 {
            var bytes = (0..<random.below(12)).flatMap { _ in Array(random.pick(letters).utf8) }
            #expect(isValidUTF8(bytes))
            #expect(isValidUTF8(([0xFF] + bytes)[1...]) && isValidUTF8(CollectionOfOne(0x41)) && !isValidUTF8(CollectionOfOne(0xC2)))
            if bytes.isEmpty { continue }
            bytes[random.below(bytes.count)] = UInt8(random.below(256))
            #expect(isValidUTF8(bytes) == Self.expected(bytes), "\(bytes)")
            let cut = Array(bytes[..<random.below(bytes.count)])
            #expect(isValidUTF8(cut) == Self.expected(cut), "\(cut)")
        }
    }
}
