import Codec
import Foundation
import FunnelModel
import TestSupport
import Testing

struct ChecksumTests {
    /// Published in RFC 3720, B.4, and the check value of the CRC catalogue.
    static let published: [([UInt8], UInt32)] = [
        (Array("123456789".utf8), 0xE306_9283), ([], 0), ([UInt8](repeating: 0, count: 32), 0x8A91_36AA),
        ([UInt8](repeating: 0xFF, count: 32), 0x62A8_AB43), ([UInt8](0..<32), 0x46DD_794E),
        ([UInt8]((0..<32).reversed()), 0x113F_DB5C),
    ]

    @Test(arguments: published)
    func matchesPublishedVectors(bytes: [UInt8], sum: UInt32) {
        #expect(CRC32C.checksum(bytes) == sum)
    }

    @Test func goesOnFromItsSeed() {
        let bytes = [UInt8](0..<100)
        for cut in 0...100 {
            let first = CRC32C.checksum(bytes, range: 0..<cut)
            #expect(CRC32C.checksum(bytes, range: cut..<100, seed: first) == CRC32C.checksum(bytes))
        }
    }
}

struct ChecksumLengthTests {
    /// Bit by bit, as the definition has it.
    private static func plain(_ bytes: ArraySlice<UInt8>, seed: UInt32) -> UInt32 {
        var c = ~seed
        for byte in bytes {
            c ^= UInt32(byte)
            for _ in 0..<8 { c = c & 1 == 1 ? 0x82F6_3B78 ^ (c >> 1) : c >> 1 }
        }
        return ~c
    }

    private static let bytes: [UInt8] = {
        var random = SplitMix64(seed: 25)
        return (0..<40_000).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    }()

    private static func check(_ range: Range<Int>, seed: UInt32) {
        let sum = plain(bytes[range], seed: seed)
        #expect(CRC32C.checksum(bytes, range: range, seed: seed) == sum, "\(range)")
        let raw = bytes.withUnsafeBytes {
            let part = UnsafeRawBufferPointer(rebasing: $0[range])
            return (CRC32C.checksum(part, seed: seed), CRC32C.portableChecksum(part, seed: seed))
        }
        #expect(raw == (sum, sum), "\(range)")
    }

    @Test func shortLengthsAtEveryAlignment() {
        for length in 0..<100 { for start in 0..<8 { Self.check(start..<(start + length), seed: 0) } }
    }

    /// Long buffers are summed as three streams of 256 or 4,096 bytes.
    @Test func lengthsAroundTheStreams() {
        for streams in [768, 1_536, 12_288, 13_056, 24_576, 39_000] {
            for length in (streams - 9)...(streams + 9) { Self.check((length % 8)..<(length % 8 + length), seed: UInt32(length)) }
        }
    }
}

struct LZ4BlockTests {
    @Test(arguments: [1, 8, 100])
    func oneStateServesManyBlocks(acceleration: Int) throws {
        var random = SplitMix64(seed: 26)
        let state = LZ4Block.State()
        for _ in 0..<100 {
            let bytes = (0..<random.below(9_000)).map { _ in UInt8(random.below(3)) }
            guard let block = LZ4Block.compress(bytes, acceleration: acceleration, state: state) else { continue }
            if acceleration == 1 { #expect(block == LZ4Block.compress(bytes)) }
            let back = try block.withUnsafeBytes { try LZ4Block.decompress($0, size: bytes.count) }
            #expect(back == bytes)
            let cut = #expect(throws: ByteError.self) {
                try block.withUnsafeBytes { try LZ4Block.decompress(.init(rebasing: $0.dropLast()), size: bytes.count, at: 7) }
            }
            #expect(cut?.offset == 7)
        }
    }

    @Test func randomBlocksComeBackEqual() throws {
        var random = SplitMix64(seed: 21)
        for _ in 0..<200 {
            let alphabet = random.pick([2, 5, 256])
            let bytes = (0..<random.below(5_000)).map { _ in UInt8(random.below(alphabet)) }
            guard let block = LZ4Block.compress(bytes) else { continue }
            #expect(block.count <= bytes.count - bytes.count / 8)
            #expect(try LZ4Block.decompress(block, range: 0..<block.count, size: bytes.count) == bytes)
        }
    }

    @Test func blocksThatDoNotShrinkAreLeftAlone() {
        var random = SplitMix64(seed: 22)
        #expect(LZ4Block.compress((0..<4_096).map { _ in UInt8(random.below(256)) }) == nil)
        #expect(LZ4Block.compress([UInt8](repeating: 0, count: LZ4Block.minimumBytes - 1)) == nil)
    }

    @Test func randomBytesNeverTrap() {
        var random = SplitMix64(seed: 23)
        var accepted = 0
        for _ in 0..<20_000 {
            var bytes = (0..<random.below(40)).map { _ in UInt8(random.below(256)) }
            var size = random.below(200)
            // Some begin as a block of literals alone would, of which random bytes make few.
            if (1...15).contains(bytes.count), random.chance(50) {
                bytes[0] = UInt8(bytes.count - 1) << 4 | bytes[0] & 1
                size = bytes.count - 1
            }
            guard let out = try? LZ4Block.decompress(bytes, range: 0..<bytes.count, size: size) else { continue }
            #expect(out.count == size)
            accepted += 1
        }
        #expect((400..<19_600).contains(accepted), "\(accepted)")
    }

    @Test func changedBlocksNeverTrap() throws {
        var random = SplitMix64(seed: 27)
        var accepted = 0
        for _ in 0..<5_000 {
            let bytes = (0..<(LZ4Block.minimumBytes + random.below(200))).map { _ in UInt8(random.below(3)) }
            var mutant = try #require(LZ4Block.compress(bytes))
            for _ in 0...random.below(3) { mutant[random.below(mutant.count)] = random.pick([0, 1, 0xF, 0x10, 0xF0, 0xFF]) }
            guard let out = try? LZ4Block.decompress(mutant, range: 0..<mutant.count, size: bytes.count) else { continue }
            #expect(out.count == bytes.count)
            accepted += 1
        }
        // An LZ4 block has no checksum: what still fits is taken for what was meant.
        #expect((250..<4_750).contains(accepted), "\(accepted)")
    }

    @Test func sizeThatNoBlockCanHoldIsRefusedFirst() {
        #expect(throws: ByteError.self) { try LZ4Block.decompress([0, 0], range: 0..<2, size: 1 << 30) }
        #expect(throws: ByteError.self) { try LZ4Block.decompress([0, 0], range: 0..<2, size: -1) }
    }
}

struct InflateTests {
    private static func gzip(_ bytes: [UInt8]) throws -> [UInt8] {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["gzip", "-nc"]
        let input = Pipe()
        let output = Pipe()
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        let writer = Thread {
            input.fileHandleForWriting.write(Data(bytes))
            try? input.fileHandleForWriting.close()
        }
        writer.start()
        let packed = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return Array(packed)
    }

    private static let text: [UInt8] = (0..<30_000).flatMap { Array("line \($0 % 977)\n".utf8) }

    @Test func gzipComesBackEqualInChunksOfAnySize() throws {
        let packed = try Self.gzip(Self.text)
        #expect(try Inflate.decode(packed, limit: Self.text.count) == Self.text)
        for size in [1, 7, 1_000] {
            let inflate = try Inflate(limit: Self.text.count)
            var out: [UInt8] = []
            for start in stride(from: 0, to: packed.count, by: size) {
                out += try inflate.decode(Array(packed[start..<min(packed.count, start + size)]))
            }
            try inflate.finish()
            #expect(out == Self.text)
        }
    }

    /// `zlib.compress(b"hello hello hello")`
    @Test func zlibIsKnownByItsHeader() throws {
        let packed: [UInt8] = [
            0x78, 0x9C, 0xCB, 0x48, 0xCD, 0xC9, 0xC9, 0x57, 0xC8, 0x40, 0x90, 0x00, 0x3A, 0x2E, 0x06, 0x7D,
        ]
        #expect(try Inflate.decode(packed, limit: 100) == Array("hello hello hello".utf8))
    }

    @Test func membersOneAfterTheOtherAreOneStream() throws {
        let a = Array("first ".utf8)
        let b = Array("second".utf8)
        let packed = try Self.gzip(a) + Self.gzip(b) + Self.gzip([])
        #expect(try Inflate.decode(packed, limit: 100) == a + b)
        let inflate = try Inflate(limit: 100)
        #expect(try packed.flatMap { try inflate.decode([$0]) } == a + b)
        try inflate.finish()
    }

    @Test func bombStopsAtTheLimit() throws {
        let packed = try Self.gzip([UInt8](repeating: 0, count: 8 << 20))
        #expect(packed.count < 16 << 10)
        let error = #expect(throws: DecompressionError.self) { try Inflate.decode(packed, limit: 1 << 20) }
        #expect(error == .overLimit(bytes: 1 << 20))
        let half = try Self.gzip([UInt8](repeating: 1, count: 600_000))
        #expect(throws: DecompressionError.self) { try Inflate.decode(half + half, limit: 1 << 20) }
        #expect(try Inflate.decode(half, limit: 600_000).count == 600_000)
        #expect(throws: DecompressionError.self) { try Inflate.decode(half, limit: 599_999) }
    }

    @Test func everyCutIsAnError() throws {
        let packed = try Self.gzip(Array("a short text, a short text".utf8))
        for end in 0..<packed.count {
            #expect(throws: DecompressionError.self) { try Inflate.decode(Array(packed[..<end]), limit: 100) }
        }
        #expect(throws: DecompressionError.self) { try Inflate.decode(packed + [0], limit: 100) }
        #expect(throws: DecompressionError.self) { try Inflate.decode(packed + packed.dropLast(), limit: 100) }
    }

    @Test func damageIsAnErrorNeverATrap() throws {
        let packed = try Self.gzip(Array(Self.text.prefix(2_000)))
        var random = SplitMix64(seed: 24)
        for _ in 0..<2_000 {
            var mutant = packed
            // Behind the header, whose time, flags and system are not under the checksum.
            mutant[10 + random.below(packed.count - 10)] ^= 1 << UInt8(random.below(8))
            let out = try? Inflate.decode(mutant, limit: 100_000)
            #expect(out == nil || out == Array(Self.text.prefix(2_000)))
        }
    }
}
