import FunnelModel
import TestSupport
import Testing

struct StringInternerTests {
    /// Enough strings that some share the part of their hash that is kept.
    @Test func codesAreThoseOfADictionary() {
        var random = SplitMix64(seed: 51)
        var interner = StringInterner()
        var codes: [ByteString: UInt32] = [:]
        for i in 0..<250_000 {
            let string: ByteString
            switch random.below(8) {
            case 0: string = ByteString((0..<random.below(20)).map { _ in UInt8(random.below(3)) })
            case 1: string = ByteString([UInt8](repeating: 0, count: random.below(40)))
            default: string = ByteString("user-\(i)")
            }
            if random.chance(20) { #expect(interner.find(string) == codes[string]) }
            let next = UInt32(codes.count)
            let expected = codes[string] ?? next
            codes[string] = expected
            if interner.code(string) != expected { Issue.record("\(string)") }
        }
        #expect(interner.count == codes.count)
        #expect(codes.allSatisfy { interner.find($0.key) == $0.value && interner.table[Int($0.value)] == $0.key })
        #expect(StringInterner(interner.table).table == interner.table)
    }

    @Test func anEmptyInternerFindsNothing() {
        #expect(StringInterner().find("") == nil)
        #expect(StringInterner(StringTable(["b", "a", "b", ""])).table == StringTable(["b", "a", ""]))
    }
}
