import FunnelModel
import TestSupport
import Testing

struct ByteCodingTests {
    /// Values around every change of a varint's length, and random ones of every size.
    static let values: [UInt64] = {
        var random = SplitMix64(seed: 31)
        let edges = (0..<64).flatMap { bit -> [UInt64] in
            let power = UInt64(1) << UInt64(bit)
            return [power - 1, power, power + 1, ~power]
        }
        return edges + [.max] + (0..<2_000).map { _ in random.next() >> UInt64(random.below(64)) }
    }()

    private static func plainVarint(_ value: UInt64) -> [UInt8] {
        var out: [UInt8] = []
        var rest = value
        while rest >= 0x80 {
            out.append(UInt8(rest & 0x7F) | 0x80)
            rest >>= 7
        }
        return out + [UInt8(rest)]
    }

    @Test func varintsAreWrittenAsThePlainLoopWritesThem() throws {
        var many = ByteWriter()
        many.varints(count: Self.values.count) { Self.values[$0] }
        #expect(many.bytes == Self.values.flatMap(Self.plainVarint))
        for value in Self.values {
            var out = ByteWriter()
            out.varint(value)
            #expect(out.bytes == Self.plainVarint(value) && Varint.length(value) == out.count)
            #expect(Varint.unzigzag(Varint.zigzag(Int64(bitPattern: value))) == Int64(bitPattern: value))
        }
    }

    /// With bytes behind it a varint is read a word at a time, at the end of the bytes one by one.
    @Test func bothWaysOfReadingAgree() throws {
        var random = SplitMix64(seed: 32)
        var samples = Self.values.map(Self.plainVarint)
        samples += (0..<5_000).map { _ in
            (0..<random.below(13)).map { _ in UInt8(truncatingIfNeeded: random.next()) | (random.chance(70) ? 0x80 : 0) }
        }
        samples += [[UInt8](repeating: 0x80, count: 9) + [2], [UInt8](repeating: 0x80, count: 10), [0x80, 0]]
        for bytes in samples where !bytes.isEmpty {
            // The first of the bytes behind ends whatever the sample left open, in both readings.
            let closed = bytes + [0]
            var short = ByteReader(closed)
            var long = ByteReader(closed + [UInt8](repeating: 0xFF, count: 12), range: 0..<(closed.count + 12))
            let a = Result { try short.varint("x") }
            let b = Result { try long.varint("x") }
            #expect((try? a.get()) == (try? b.get()) && short.offset == long.offset)
        }
    }

    @Test func integersComeBackEqualAtAnyOffset() throws {
        for shift in 0..<9 {
            var out = ByteWriter()
            out.append([UInt8](repeating: 7, count: shift))
            out.integer(0x0102_0304_0506_0708 as UInt64)
            out.integer(-2 as Int16)
            out.integer(UInt128(1) << 100 + 5)
            out.integer(9 as UInt8)
            #expect(Array(out.bytes[shift..<(shift + 8)]) == [8, 7, 6, 5, 4, 3, 2, 1])
            var reader = ByteReader(out.bytes, range: shift..<out.count)
            #expect(try reader.integer("a", as: UInt64.self) == 0x0102_0304_0506_0708)
            #expect(try reader.integer("b", as: Int16.self) == -2)
            #expect(try reader.integer("c", as: UInt128.self) == UInt128(1) << 100 + 5)
            #expect(try reader.integer("d", as: UInt8.self) == 9)
            #expect(throws: ByteError.self) { try reader.integer("e", as: UInt8.self) }
        }
    }

    /// No read goes past the reader's range, though the array goes on.
    @Test func theRangeEndsEveryRead() {
        let bytes = [UInt8](repeating: 0x81, count: 40)
        for end in 0..<20 {
            var reader = ByteReader(bytes, range: 0..<end)
            #expect(throws: ByteError.self) { try reader.varint("x") }
            #expect(reader.offset == 0)
            if end < 8 { #expect(throws: ByteError.self) { try reader.integer("x", as: UInt64.self) } }
            reader.move(to: 100)
            #expect(reader.offset == end && reader.remaining == 0)
        }
    }

    @Test func bytesCompareAsTheirSequencesDo() {
        var random = SplitMix64(seed: 33)
        for _ in 0..<5_000 {
            let a = (0..<random.below(30)).map { _ in UInt8(random.pick([0, 1, 0x7F, 0x80, 0xFF])) }
            var b = Array(a.prefix(random.below(a.count + 1))) + (0..<random.below(3)).map { _ in UInt8(random.below(256)) }
            if random.chance(30) { b = a }
            if random.chance(30), !b.isEmpty { b[random.below(b.count)] ^= 1 << UInt8(random.below(8)) }
            let expected = a == b ? 0 : (a.lexicographicallyPrecedes(b) ? -1 : 1)
            #expect(compareBytes(a, b).signum() == expected)
            #expect(compareBytes(([9] + a)[1...], b[...]).signum() == expected)
            let (x, y) = (ByteString(a), ByteString(b))
            #expect((x == y) == (expected == 0) && (x < y) == (expected < 0))
            #expect(x != y || x.hashValue == y.hashValue)
        }
    }

    @Test func textsSideBySideHashApart() {
        let pairs: [[ByteString]] = [["ab", "c"], ["a", "bc"], ["", "abc"], ["abc", ""]]
        #expect(Set(pairs.map(\.hashValue)).count == pairs.count)
    }
}

struct XXH64LengthTests {
    /// The specification, a byte at a time.
    private static func plain(_ bytes: [UInt8], _ seed: UInt64) -> UInt64 {
        let p: [UInt64] = [
            0x9E37_79B1_85EB_CA87, 0xC2B2_AE3D_27D4_EB4F, 0x1656_67B1_9E37_79F9, 0x85EB_CA77_C2B2_AE63,
            0x27D4_EB2F_1656_67C5,
        ]
        func word(_ at: Int, _ n: Int) -> UInt64 { (0..<n).reduce(0) { $0 | UInt64(bytes[at + $1]) << UInt64(8 * $1) } }
        func rotl(_ x: UInt64, _ by: UInt64) -> UInt64 { x << by | x >> (64 - by) }
        func round(_ acc: UInt64, _ lane: UInt64) -> UInt64 { rotl(acc &+ lane &* p[1], 31) &* p[0] }
        var at = 0
        var h = seed &+ p[4]
        if bytes.count >= 32 {
            var v = [seed &+ p[0] &+ p[1], seed &+ p[1], seed, seed &- p[0]]
            while bytes.count - at >= 32 {
                for i in 0..<4 { v[i] = round(v[i], word(at + 8 * i, 8)) }
                at += 32
            }
            h = rotl(v[0], 1) &+ rotl(v[1], 7) &+ rotl(v[2], 12) &+ rotl(v[3], 18)
            for x in v { h = (h ^ round(0, x)) &* p[0] &+ p[3] }
        }
        h = h &+ UInt64(bytes.count)
        while bytes.count - at >= 8 {
            h = rotl(h ^ round(0, word(at, 8)), 27) &* p[0] &+ p[3]
            at += 8
        }
        if bytes.count - at >= 4 {
            h = rotl(h ^ word(at, 4) &* p[0], 23) &* p[1] &+ p[2]
            at += 4
        }
        while at < bytes.count {
            h = rotl(h ^ UInt64(bytes[at]) &* p[4], 11) &* p[0]
            at += 1
        }
        h = (h ^ h >> 33) &* p[1]
        h = (h ^ h >> 29) &* p[2]
        return h ^ h >> 32
    }

    @Test func everyLengthAndAlignmentAgreesWithTheSpecification() {
        var random = SplitMix64(seed: 34)
        let bytes = (0..<150).map { _ in UInt8(random.below(256)) }
        for length in 0...130 {
            let expected = Self.plain(Array(bytes[..<length]), 77)
            #expect(XXH64.hash(Array(bytes[..<length]), seed: 77) == expected)
            let shift = length % 8
            let slice = Array(bytes[shift..<(shift + length)])
            #expect(XXH64.hash(bytes[shift..<(shift + length)], seed: 5) == Self.plain(slice, 5))
        }
    }

    @Test func tablesHashTheirStrings() {
        let table = StringTable(["", "a", "some longer user id that fills a stripe"] as [ByteString])
        for i in 0..<table.count { #expect(table.hash(i) == XXH64.hash(table[i].bytes)) }
    }
}
